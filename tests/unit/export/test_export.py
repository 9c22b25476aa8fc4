"""Every export says what the plan says, in the other tool's words, and lists what it cannot say."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import hcl2
import kubernetes_validate
import pytest
import yaml

from consolidate.errors import InputError
from consolidate.export import EXPORTS, on_host
from consolidate.export.export import WORDS
from consolidate.export.kubernetes import patch
from consolidate.export.systemd import DROP_IN
from consolidate.plan.plan import Limits, Partition, Plan, plan_digest
from tests.support.hosts import plan_of

MIB = 1 << 20
EVERYTHING = Limits(
    cpu_milli=1500,
    memory_bytes=64 * MIB,
    cpu_burst_milli=750,
    memory_low_bytes=32 * MIB,
    memory_high_bytes=60 * MIB,
    swap_bytes=0,
    disk_read_bytes_per_s=10 * MIB,
    disk_write_bytes_per_s=5 * MIB,
    io_weight=200,
    pids=512,
    cpus="2-5",
)
SHOP = Partition("here:shop.service", "here", "native", "system.slice/shop.service", Limits(), EVERYTHING, 90, "a test")
GROUP = replace(SHOP, workload="here:shop/db", cgroup="shop/db")
MACHINE = replace(SHOP, workload="here:vm-1", isolation="vm", cgroup="machine.slice/machine-qemu-1-vm-1.scope")
OWN_CORES = replace(SHOP.after, cpu_milli=None, cpu_burst_milli=None, memory_nodes="0")


class Unsafe(yaml.SafeLoader):
    """Reads Ansible's texts that are no templates."""


Unsafe.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def only(files: Mapping[str, str]) -> str:
    [text] = files.values()
    return text


def statements(plan: Plan, name: str) -> str:
    """What an export says outside of comments."""
    text = "\n".join(EXPORTS[name](plan).files.values())
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return "\n".join(line for line in text.splitlines() if line and not line.startswith("#"))


@pytest.mark.parametrize("field", WORDS)
@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_what_is_set_is_said_in_the_file_or_listed(name: str, field: str) -> None:
    partition = MACHINE if name == "libvirt" else GROUP if name == "shell" else SHOP
    amount = "0" if field == "memory_nodes" else getattr(EVERYTHING, field)
    alone = plan_of(replace(partition, after=replace(Limits(), **{field: amount})))
    listed = any(sentence.startswith(WORDS[field]) for sentence in EXPORTS[name](alone).unsaid)
    bare = plan_of(replace(partition, after=Limits()))
    said, nothing = (statements(plan, name).replace(plan_digest(plan)[7:19], "") for plan in (alone, bare))
    assert listed == (said == nothing), "said or listed, and not both"


@pytest.mark.parametrize("name", sorted(set(EXPORTS) - {"libvirt"}))
def test_what_a_file_does_not_say_stands_in_its_comment(name: str) -> None:
    export = EXPORTS[name](plan_of(SHOP))
    head = "".join(export.files.values())
    assert export.unsaid
    assert all(f"# - {sentence}\n" in head for sentence in export.unsaid if not sentence.startswith("anti-affinity"))


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_whom_an_export_cannot_say_at_all_is_listed(name: str) -> None:
    stranger = {"libvirt": SHOP, "kubernetes": MACHINE, "compose": MACHINE}.get(name, replace(GROUP, cgroup=""))
    export = EXPORTS[name](plan_of(stranger))
    if name == "nomad":
        assert len(export.files) == 2, "any workload may be a task"
        return
    assert (dict(export.files), len(export.unsaid)) == ({}, 1)
    assert export.unsaid[0].startswith(f"everything of 1 workload ({stranger.workload}): ")


def deployment(strategic: dict[str, Any]) -> dict[str, Any]:
    """A deployment with the patch merged in, as the API server does it: containers by name."""
    [own] = strategic["spec"]["template"]["spec"]["containers"]
    labels = {"app": "shop"}
    pod = copy.deepcopy(strategic["spec"]["template"]["spec"])
    pod["containers"] = [{"name": own["name"], "image": "shop:1", **own}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "shop"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }


def test_a_kubernetes_patch_makes_a_deployment_that_the_published_schema_takes() -> None:
    text = only(EXPORTS["kubernetes"](plan_of(SHOP)).files)
    read = yaml.safe_load(text)
    assert read == patch(SHOP)
    kubernetes_validate.validate(deployment(read), kubernetes_validate.latest_version(), strict=True)
    [container] = read["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "900m", "memory": str(32 * MIB)},
        "limits": {"cpu": "1500m", "memory": str(64 * MIB)},
    }


def test_a_request_is_never_above_its_limit() -> None:
    [container] = patch(replace(SHOP, cpu_weight=500))["spec"]["template"]["spec"]["containers"]  # type: ignore[index]
    assert container["resources"]["requests"]["cpu"] == "1500m"


def test_own_cores_are_whole_requests_that_equal_their_limits() -> None:
    read = yaml.safe_load(only(EXPORTS["kubernetes"](plan_of(replace(SHOP, after=OWN_CORES))).files))
    [container] = read["spec"]["template"]["spec"]["containers"]
    assert (
        container["resources"]["requests"]
        == container["resources"]["limits"]
        == {
            "cpu": "4",
            "memory": str(64 * MIB),
        }
    )


def test_compose_services_have_their_limits() -> None:
    read = yaml.safe_load(only(EXPORTS["compose"](plan_of(SHOP)).files))
    assert read == {
        "services": {
            "shop.service": {
                "cpu_shares": 921,
                "cpus": 1.5,
                "mem_limit": "67108864b",
                "memswap_limit": "67108864b",
                "mem_reservation": "33554432b",
                "pids_limit": 512,
                "cpuset": "2-5",
                "blkio_config": {"weight": 200},
            }
        }
    }


def test_nomads_blocks_are_hcl() -> None:
    files = EXPORTS["nomad"](plan_of(SHOP)).files
    read = hcl2.loads(next(text for name, text in files.items() if name != "variables.hcl"))
    [resources] = read["resources"]
    assert (resources["memory"], resources["memory_max"]) == (32, 64)
    assert "900 * var.core_mhz" in resources["cpu"]
    assert "core_mhz" in str(hcl2.loads(files["variables.hcl"]))
    exclusive = EXPORTS["nomad"](plan_of(replace(SHOP, after=OWN_CORES))).files
    assert hcl2.loads(next(iter(exclusive.values())))["resources"][0]["cores"] == 4


def test_drop_ins_have_every_property_of_systemds() -> None:
    files = EXPORTS["systemd"](plan_of(SHOP)).files
    assert list(files) == [f"here/shop.service.d/{DROP_IN}"]
    lines = [line for line in only(files).splitlines() if not line.startswith("#")]
    assert lines == [
        "[Service]",
        "CPUWeight=90",
        "CPUQuota=150%",
        "MemoryMax=67108864",
        "MemoryLow=33554432",
        "MemoryHigh=62914560",
        "MemorySwapMax=0",
        "IOReadBandwidthMax=/ 10485760",
        "IOWriteBandwidthMax=/ 5242880",
        "IOWeight=200",
        "TasksMax=512",
        "AllowedCPUs=2-5",
    ]


def test_a_playbook_puts_the_same_drop_ins_in_place_and_another_removes_them() -> None:
    files = EXPORTS["ansible"](plan_of(SHOP)).files
    [apply], [back] = (yaml.load(files[name], Unsafe) for name in ("apply.yml", "rollback.yml"))
    assert apply["hosts"] == back["hosts"] == "here"
    folder, copied = (task[next(key for key in task if key.startswith("ansible."))] for task in apply["tasks"])
    assert folder["path"] == "/etc/systemd/system/shop.service.d"
    drop_in = only(EXPORTS["systemd"](plan_of(SHOP)).files)
    assert copied["content"] == drop_in[drop_in.index("[Service]") :]
    assert back["tasks"][0]["ansible.builtin.file"] == {"path": copied["dest"], "state": "absent"}
    assert apply["tasks"][1]["notify"] == apply["handlers"][0]["name"]


def test_a_domains_fragment_is_xml_with_its_tuning() -> None:
    domain = ET.fromstring(only(EXPORTS["libvirt"](plan_of(MACHINE)).files))
    assert domain.findtext("name") == "vm-1"
    assert domain.findtext("cputune/global_quota") == "150000"
    assert domain.findtext("memtune/hard_limit") == domain.findtext("memtune/swap_hard_limit") == str(64 * MIB)
    assert domain.findtext("memtune/soft_limit") == str(60 * MIB)


def shell(script: str, root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"STATE": str(root / "state"), "CGROUP": str(root / "cgroup"), "UNITS": str(root / "units"), "HOST": "here"}
    return subprocess.run(
        ["sh", "-s"],
        input=script,
        env=os.environ | given | environment,
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    group = tmp_path / "cgroup/shop/db"
    group.mkdir(parents=True)
    for name, text in {
        "cpu.weight": "100",
        "cpu.max": "max 100000",
        "cpu.max.burst": "0",
        "memory.max": "max",
        "memory.low": "0",
        "memory.high": "max",
        "memory.swap.max": "max",
        "io.weight": "default 100",
        "pids.max": "max",
        "cpuset.cpus": "",
    }.items():
        (group / name).write_text(f"{text}\n")
    return tmp_path


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_script_writes_twice_the_same_and_the_other_takes_it_back(root: Path) -> None:
    files = EXPORTS["shell"](plan_of(GROUP)).files
    before = contents(root)
    first = shell(files["here/apply.sh"], root)
    assert (first.returncode, first.stderr) == (0, "")
    assert (root / "cgroup/shop/db/cpu.max").read_text() == "150000 100000\n"
    applied = contents(root)
    assert shell(files["here/apply.sh"], root).stdout == "", "nothing is left to write"
    assert contents(root) == applied
    back = shell(files["here/rollback.sh"], root)
    assert (back.returncode, back.stderr) == (0, "")
    assert contents(root) == before
    assert shell(files["here/rollback.sh"], root).stdout == ""


def test_the_script_writes_drop_ins_of_units(root: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/systemctl").write_text('#!/bin/sh\necho "$@" >> reloads\n')
    (tmp_path / "bin/systemctl").chmod(0o755)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    files = EXPORTS["shell"](plan_of(SHOP)).files
    assert shell(files["here/apply.sh"], root, PATH=path).returncode == 0
    assert shell(files["here/apply.sh"], root, PATH=path).stdout == ""
    drop_in = root / f"units/shop.service.d/{DROP_IN}"
    assert "CPUQuota=150%\n" in drop_in.read_text()
    assert shell(files["here/rollback.sh"], root, PATH=path).returncode == 0
    assert not drop_in.parent.exists()
    assert (root / "reloads").read_text() == "daemon-reload\n" * 2


def test_the_script_refuses_another_host_and_tells_what_is_not_there(root: Path) -> None:
    files = EXPORTS["shell"](plan_of(GROUP)).files
    before = contents(root)
    elsewhere = shell(files["here/apply.sh"], root, HOST="there")
    assert (elsewhere.returncode, contents(root)) == (1, before)
    assert "this is not the host" in elsewhere.stderr
    (root / "cgroup/shop/db/pids.max").unlink()
    partly = shell(files["here/apply.sh"], root)
    assert partly.returncode == 1
    assert "pids.max: not there; nothing was written to it" in partly.stderr


def test_a_host_without_partitions_is_a_sentence() -> None:
    with pytest.raises(InputError, match="the plan limits nothing on 'elsewhere'"):
        on_host(plan_of(SHOP), "elsewhere")
    assert on_host(plan_of(SHOP), "here").partitions == (SHOP,)


def test_hosts_and_workloads_have_files_of_their_own() -> None:
    partitions = [replace(SHOP, workload=f"h:{name}", host=name) for name in ("a", "A", "a ")]
    for name in ("compose", "kubernetes", "systemd"):
        assert len(EXPORTS[name](plan_of(*partitions)).files) == 3
