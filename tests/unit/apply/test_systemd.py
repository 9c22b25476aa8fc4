"""Units of systemd: what is to be written, in whose words, and what each text means. The rest needs a real systemd."""

from __future__ import annotations

from pathlib import Path

import pytest

from consolidate.apply import LocalMachine
from consolidate.apply.backends.properties import BY_NAME, PROPERTIES, Disk, property_named
from consolidate.apply.backends.setting import Setting, assignments, parse_setting, parse_show
from consolidate.apply.backends.systemd import SystemdBackend, UnitObservation
from consolidate.apply.drift import why
from consolidate.errors import ApplyError
from consolidate.plan.plan import Limits, Partition

DISKS = (Disk("/dev/vda", "254:0"), Disk("/dev/vdb", "254:16"))
UNSET = {each.name: str(Setting(each.normal([]))) for each in PROPERTIES}
"""As systemd says it of a unit without limits."""


def observed(life: str = "runtime b i", **values: str) -> UnitObservation:
    return UnitObservation("web.service", life, UNSET | values, disks=DISKS)


def partition(**limits: object) -> Partition:
    after = Limits(**limits)  # type: ignore[arg-type]
    return Partition("here:web", "here", "container", "system.slice/web.service", Limits(), after, 50, "a test")


def wanted(found: UnitObservation, **limits: object) -> dict[str, str]:
    changes = SystemdBackend().writes(partition(**limits), found)
    return {change.key: change.wanted for change in changes if change.needed}


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("unset", Setting("")),
        ("20.5% (runtime)", Setting("20.5%", ("runtime",))),
        ("infinity (persistent; runtime)", Setting("infinity", ("persistent", "runtime"))),
        ("unset (the kernel has max 100000)", Setting("", (), "max 100000")),
        (
            "/dev/vda 5; /dev/vdb 6 (runtime; the kernel has 254:0 7; 254:16 8)",
            Setting("/dev/vda 5; /dev/vdb 6", ("runtime",), "254:0 7; 254:16 8"),
        ),
    ],
)
def test_a_setting_is_a_text_and_back(text: str, setting: Setting) -> None:
    assert parse_setting(text) == setting
    assert str(setting) == text


@pytest.mark.parametrize(
    ("name", "lines", "value", "amount"),
    [
        ("CPUQuota", ["infinity"], "", None),
        ("CPUQuota", ["205ms"], "20.5%", 205),
        ("CPUQuota", ["1min 1.500s"], "6150%", 61_500),
        ("CPUWeight", ["[not set]"], "", None),
        ("CPUWeight", ["18446744073709551615"], "", None),
        ("MemoryMax", ["infinity"], "infinity", None),
        ("MemoryMax", ["18446744073709551615"], "infinity", None),
        ("MemoryMax", ["67108864"], "67108864", 67_108_864),
        ("MemoryLow", ["0"], "0", None),
        ("TasksMax", ["849"], "849", 849),
        ("AllowedCPUs", ["0-1 3"], "0-1,3", "0-1,3"),
        ("AllowedCPUs", [""], "", None),
        ("IOReadBandwidthMax", ["/dev/vdb 6", "/dev/vda 5"], "/dev/vda 5; /dev/vdb 6", 5),
        ("IOReadBandwidthMax", [], "", None),
    ],
)
def test_what_systemctl_shows_is_a_value_and_an_amount(
    name: str, lines: list[str], value: str, amount: int | str | None
) -> None:
    each = BY_NAME[name]
    assert each.normal(lines) == value
    assert each.amount(value) == amount


@pytest.mark.parametrize(
    ("name", "value", "file", "agrees"),
    [
        ("CPUQuota", "20.5%", "20500 100000", True),
        ("CPUQuota", "20.5%", "10250 50000", True),
        ("CPUQuota", "20.5%", "max 100000", False),
        ("CPUQuota", "", "max 100000", True),
        ("CPUQuota", "", "20500 100000", False),
        ("CPUQuota", "1%", "1000 100000", True),
        ("CPUWeight", "", "100", True),
        ("CPUWeight", "50", "999", False),
        ("IOWeight", "50", "default 50\n254:0 70", True),
        ("MemoryMax", "67108865", "67108864", True),
        ("MemoryMax", "67108864", "max", False),
        ("MemoryMax", "infinity", "max", True),
        ("TasksMax", "849", "849", True),
        ("AllowedCPUs", "0,1", "0-1", True),
        ("AllowedCPUs", "0", "0-1", False),
        ("IOReadBandwidthMax", "/dev/vda 5", "254:0 rbps=5 wbps=max riops=max wiops=max", True),
        ("IOWriteBandwidthMax", "", "254:0 rbps=5 wbps=max riops=max wiops=max", True),
        ("IOWriteBandwidthMax", "", "254:0 rbps=max wbps=7 riops=max wiops=max", False),
        ("IOReadBandwidthMax", "/var/lib 5", "254:0 rbps=5 wbps=max riops=max wiops=max", True),
    ],
)
def test_the_kernels_file_is_a_second_witness(name: str, value: str, file: str, agrees: bool) -> None:
    each = BY_NAME[name]
    assert each.agrees(value, each.kernel(file), DISKS) is agrees


def test_every_limit_of_a_plan_becomes_a_property() -> None:
    limits = {"cpu_milli": 205, "memory_bytes": 64 << 20, "memory_low_bytes": 1 << 20, "memory_high_bytes": 48 << 20}
    rates = {"disk_read_bytes_per_s": 5, "disk_write_bytes_per_s": 6, "io_weight": 70}
    found = wanted(observed(), **limits, **rates, swap_bytes=0, pids=512, cpus="0,1", memory_nodes="0")
    assert found == {
        "MemoryMax": "67108864 (runtime)",
        "MemoryHigh": "50331648 (runtime)",
        "MemoryLow": "1048576 (runtime)",
        "MemorySwapMax": "0 (runtime)",
        "CPUQuota": "20.5% (runtime)",
        "CPUWeight": "50 (runtime)",
        "IOReadBandwidthMax": "/dev/vda 5; /dev/vdb 5 (runtime)",
        "IOWriteBandwidthMax": "/dev/vda 6; /dev/vdb 6 (runtime)",
        "IOWeight": "70 (runtime)",
        "TasksMax": "512 (runtime)",
        "AllowedMemoryNodes": "0 (runtime)",
        "AllowedCPUs": "0-1 (runtime)",
    }
    assert list(found) == [each.name for each in PROPERTIES]


def test_a_list_that_is_none_is_refused_with_the_workload() -> None:
    with pytest.raises(ApplyError, match="here:web: 'all' is no list such as 0-3,8"):
        wanted(observed(), cpus="all")


def test_what_the_plan_does_not_say_is_not_touched() -> None:
    assert list(wanted(observed())) == ["CPUWeight"], "which every partition has"


def test_a_value_that_the_unit_has_by_itself_or_for_longer_is_not_set_again() -> None:
    for now in ("50", "50 (runtime)", "50 (persistent)"):
        assert wanted(observed(CPUWeight=now)) == {}
    assert wanted(observed("persistent b i", CPUWeight="50 (runtime)")) == {"CPUWeight": "50 (persistent; runtime)"}


def test_a_kernel_that_disagrees_is_drift_and_says_who() -> None:
    [change] = SystemdBackend().writes(partition(), observed(CPUWeight="50 (runtime; the kernel has 999)"))
    assert (change.needed, change.wanted) == (True, "50 (runtime)")
    assert "past systemd" in why(change)


def test_a_runtime_limit_below_a_persistent_one_is_refused_since_a_reload_would_forget_it() -> None:
    backend = SystemdBackend()
    [change] = backend.writes(partition(), observed(CPUWeight="70 (persistent)"))
    with pytest.raises(ApplyError, match=r"CPUWeight is set persistently.*apply with --persistent"):
        backend.execute(None, change, change.wanted)  # type: ignore[arg-type]  # it is refused before it is needed


def test_a_unit_without_a_file_cannot_have_a_persistent_limit() -> None:
    backend = SystemdBackend(persistent=True)
    [change] = backend.writes(partition(), observed("transient b i"))
    with pytest.raises(ApplyError, match="has no unit file"):
        backend.execute(None, change, change.wanted)  # type: ignore[arg-type]


def test_a_list_is_emptied_before_it_is_set() -> None:
    assert assignments("IOWriteBandwidthMax", "") == ["IOWriteBandwidthMax="]
    assert assignments("CPUQuota", "20%") == ["CPUQuota=20%"]


def test_show_has_a_line_for_each_entry_and_values_with_equals_signs() -> None:
    text = "IOReadBandwidthMax=/dev/vda 5\nIOReadBandwidthMax=/dev/by=x 6\nId=web.service\n\nnoise"
    assert parse_show(text) == {"IOReadBandwidthMax": ["/dev/vda 5", "/dev/by=x 6"], "Id": ["web.service"]}


def test_a_journal_of_another_version_is_refused_with_a_sentence() -> None:
    with pytest.raises(ApplyError, match="take it back with the version that wrote it"):
        property_named("CPUBurst")


@pytest.mark.parametrize(
    ("cgroup", "ours"),
    [
        ("system.slice/web.service", True),
        ("tenant.slice/tenant-a.slice", True),
        ("system.slice/loose.scope", True),
        ("system.slice/docker-" + 64 * "a" + ".scope", False),
        ("machine.slice/machine-qemu\\x2d1\\x2dweb.scope", False),
        ("user.slice/user-1000.slice/user@1000.service/app.slice/tool.service", False),
        ("system.slice/web.service/payload", False),
        ("web", False),
    ],
)
def test_units_of_the_systems_manager_are_ours_and_those_of_others_are_not(
    cgroup: str, ours: bool, tmp_path: Path
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    part = Partition("w", "here", "container", cgroup, Limits(), Limits(), 50, "a test")
    assert SystemdBackend().supports(LocalMachine("here", tmp_path), part) is ours
    (tmp_path / "run/systemd/system").rmdir()
    assert not SystemdBackend().supports(LocalMachine("here", tmp_path), part), "where no systemd runs"
