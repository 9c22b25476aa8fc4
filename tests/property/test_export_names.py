"""Names are anybody's: no export lets one become a command, a key, a template or another file."""

from __future__ import annotations

import os
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path, PurePosixPath

import hcl2
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consolidate.export import EXPORTS
from consolidate.plan.plan import Limits, Partition, is_group_path
from tests.support.hosts import plan_of

HOSTILE = (
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    '"; touch pwned; "',
    "a\ntouch pwned\n",
    "-rf",
    "{{ lookup('pipe', 'touch pwned') }}",
    "{% raw %}",
    "--> <evil/> <!--",
    "]]>&amp;<x>",
    "${attr.unique.hostname}",
    "%{ if true }",
    "../../etc/passwd",
    "a: b",
    "!unsafe x",
    "&x *x",
    "\x1b[31m",
    "\u2028touch pwned",
    "#",
    "",
)
NAMES = st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), max_size=30))


class Unsafe(yaml.SafeLoader):
    """Reads Ansible's texts that are no templates."""


Unsafe.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def a_partition(workload: str, host: str, cgroup: str, isolation: str = "native") -> Partition:
    after = Limits(1500, 64 << 20, pids=512, cpus="0-1", cpu_burst_milli=10)
    return Partition(workload, host, isolation, cgroup, Limits(), after, 50, "a test")


@given(NAMES, NAMES, NAMES)
@settings(max_examples=60)
@example("here:$(touch pwned)", "{{ x }}", "a\nb")
def test_no_name_leaves_its_place(workload: str, host: str, group: str) -> None:
    unit = f"system.slice/{group}.service"
    for name, export in EXPORTS.items():
        partition = a_partition(workload, host, unit, "vm" if name == "libvirt" else "native")
        plain = EXPORTS[name](plan_of(a_partition("w", "h", "system.slice/u.service", partition.isolation)))
        found = export(plan_of(partition))
        assert len(found.files) <= len(plain.files)
        for path in found.files:
            parts = PurePosixPath(path).parts
            assert ".." not in parts and not path.startswith("/"), "a file outside of the folder"
        for text in found.files.values():
            assert name in ("libvirt", "shell") or not any(line.startswith("touch") for line in text.split("\n"))
            assert name == "shell" or "\x1b" not in text


@given(NAMES, NAMES)
@settings(max_examples=60)
def test_every_parser_reads_the_name_that_was_written(workload: str, host: str) -> None:
    plan = plan_of(a_partition(f"h:{workload}", host, "system.slice/u.service"))
    [patch] = EXPORTS["kubernetes"](plan).files.values()
    pod = yaml.safe_load(patch)["spec"]["template"]["spec"]
    [term] = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == [host]
    assert len(yaml.safe_load(next(iter(EXPORTS["compose"](plan).files.values())))["services"]) == 1
    blocks = next(text for name, text in EXPORTS["nomad"](plan).files.items() if name != "variables.hcl")
    [constraint] = hcl2.loads(blocks)["constraint"]
    assert set(constraint) >= {"attribute", "value"}
    playbook = EXPORTS["ansible"](plan).files
    if playbook:
        [play] = yaml.load(playbook["apply.yml"], Unsafe)
        assert play["hosts"] == host
        assert play["tasks"][0]["name"] == f"Folder of h:{workload}"
    machine = EXPORTS["libvirt"](plan_of(replace(plan.partitions[0], isolation="vm"))).files
    for text in machine.values():
        domain = ET.fromstring(text)
        assert [child.tag for child in domain] == ["name", "cputune", "memtune"]
        assert (domain.findtext("name") or "").split() == (workload or f"h:{workload}").split()


@given(NAMES, NAMES, st.sampled_from(HOSTILE).filter(is_group_path))
@settings(max_examples=25)
def test_the_scripts_run_nothing_that_a_name_says(workload: str, host: str, group: str) -> None:
    if "\0" in host or not host:
        return
    files = EXPORTS["shell"](plan_of(a_partition(workload, host, f"top/{group}"))).files
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "cgroup/top" / group).mkdir(parents=True)
        (root / "cgroup/top" / group / "pids.max").write_text("max\n")
        places = {"STATE": f"{root}/state", "CGROUP": f"{root}/cgroup", "UNITS": f"{root}/units", "HOST": host}
        for path in sorted(files):
            done = subprocess.run(
                ["sh", "-s"],
                input=files[path],
                env=os.environ | places,
                cwd=root,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode in (0, 1)
            wanted = "512" if path.endswith("apply.sh") else "max"
            assert (root / "cgroup/top" / group / "pids.max").read_text() == f"{wanted}\n"
        assert not list(root.rglob("pwned"))
