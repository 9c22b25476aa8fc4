"""Parsers of kernel files: what they make of real text, and that they refuse anything else with ValueError."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors import cgroup, cgroup_files, host, kernel, meminfo, process, psi

# Each parser with text that a kernel did write.
PARSERS: dict[str, tuple[Callable[[str], object], str]] = {
    "parse_flat": (kernel.parse_flat, "usage_usec 90339297\nnr_periods 12\n"),
    "parse_boot_time": (kernel.parse_boot_time, "cpu  6035 0 2947\nctxt 492569\nbtime 1795552262\n"),
    "parse_pressure": (psi.parse_pressure, "some avg10=0.00 avg60=0.12 avg300=0.04 total=6991775\n"),
    "parse_meminfo": (meminfo.parse_meminfo, "MemTotal:       24684084 kB\nHugePages_Free:        4\n"),
    "parse_load": (host.parse_load, "3.07 2.81 2.44 4/1873 918273\n"),
    "parse_swapped": (host.parse_swapped, "pgpgout 23691455\npswpin 12\npswpout 345\n"),
    "parse_cpuinfo": (host.parse_cpuinfo, "processor\t: 0\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\n"),
    "parse_os_release": (host.parse_os_release, 'NAME="Debian GNU/Linux"\nID=debian\n'),
    "parse_mounts": (cgroup.parse_mounts, "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n"),
    "parse_io_stat": (cgroup_files.parse_io_stat, "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n"),
    "parse_blkio": (cgroup_files.parse_blkio, "254:0 Read 4096\n254:0 Write 8192\n254:0 Total 12288\nTotal 12288\n"),
    "parse_level": (cgroup_files.parse_level, "4096\n"),
    "parse_usage": (cgroup_files.parse_usage, "2500000000\n"),
    "parse_cpu_max": (cgroup_files.parse_cpu_max, "150000 100000\n"),
    "parse_stat": (
        process.parse_stat,
        "310 (odd) name (1) S 1 310 310 0 -1 4194560 1200 0 3 0 12 5 0 0 20 0 4 0 2000 23068672 900\n",
    ),
    "parse_statm": (process.parse_statm, "3000 900 700 200 0 3100 0\n"),
    "parse_pids": (process.parse_pids, "310\n311\n"),
}
EXPECTED: dict[str, object] = {
    "parse_flat": {"usage_usec": 90339297, "nr_periods": 12},
    "parse_boot_time": "1795552262",
    "parse_pressure": {"some": 6.991775},
    "parse_meminfo": {"MemTotal": 24684084 * 1024},
    "parse_load": 3.07,
    "parse_swapped": {"swap_in_bytes_total": 12, "swap_out_bytes_total": 345},
    "parse_cpuinfo": (2, "AMD EPYC"),
    "parse_os_release": "debian",
    "parse_mounts": ("/sys/fs/cgroup", {}),
    "parse_io_stat": {"rbytes": 4096, "wbytes": 8192, "rios": 1, "wios": 2},
    "parse_blkio": {"Read": 4096, "Write": 8192},
    "parse_level": {"level": 4096},
    "parse_usage": {"usage_nsec": 2_500_000_000},
    "parse_cpu_max": 1500,
    "parse_stat": process.Process("odd) name (1", "S", 4194560, 17, 4, 2000),
    "parse_statm": (200, 700),
    "parse_pids": {310, 311},
}


@pytest.mark.parametrize("name", PARSERS)
def test_real_text_is_understood(name: str) -> None:
    parse, text = PARSERS[name]
    assert parse(text) == EXPECTED[name]


def test_every_parser_is_fuzzed_here() -> None:
    modules = (cgroup, cgroup_files, host, kernel, process, psi)
    defined = {name: getattr(module, name) for module in modules for name in vars(module) if name.startswith("parse")}
    assert defined.keys() == PARSERS.keys()


def is_sound(result: object) -> bool:
    """Text of any kind, but no number that is negative or beyond a 64-bit counter's sum."""
    if isinstance(result, dict):
        return all(is_sound(value) for value in result.values())
    if isinstance(result, (tuple, set)):
        return all(is_sound(value) for value in result)
    if isinstance(result, process.Process):
        return is_sound(astuple(result))
    if isinstance(result, (int, float)):
        return 0 <= result < 10**23
    return result is None or isinstance(result, str)


def understood(parse: Callable[[str], object], text: str) -> object:
    """The parser's result, None for a ValueError; any other exception fails the test."""
    try:
        return parse(text)
    except ValueError:
        return None


@pytest.mark.parametrize("name", PARSERS)
@settings(deadline=None)
@given(text=st.text() | st.text(alphabet="0123456789 =:()\n\\max-RWtol_some", max_size=60))
@example("")
@example("\n")
@example("9" * 400)
@example("some total=" + "9" * 400)
@example("1 0")
@example("max 0")
@example("cgroup /x\\400 cgroup cpu")
def test_any_text_is_a_sound_result_or_a_value_error(name: str, text: str) -> None:
    assert is_sound(understood(PARSERS[name][0], text))


@pytest.mark.parametrize("name", PARSERS)
def test_text_cut_anywhere_is_a_sound_result_or_a_value_error(name: str) -> None:
    parse, real = PARSERS[name]
    assert all(is_sound(understood(parse, real[:length])) for length in range(len(real)))


@pytest.mark.parametrize("text", ["", "-1", "max", "1_000", "0x10", "1.5", "١٢", "9" * 21])
def test_what_is_not_a_kernel_counter(text: str) -> None:
    with pytest.raises(ValueError, match="not a kernel counter"):
        kernel.number(text)


def test_a_reader_turns_a_missing_or_malformed_file_into_none(tmp_path: Path) -> None:
    (tmp_path / "malformed").write_text("usage_usec")
    (tmp_path / "binary").write_bytes(b"\xff\xfe 1\n")
    assert kernel.read(tmp_path / "missing", kernel.parse_flat) is None
    assert kernel.read(tmp_path / "malformed", kernel.parse_flat) is None
    assert kernel.read(tmp_path, kernel.parse_flat) is None, "a directory"
    assert kernel.read(tmp_path / "binary", kernel.parse_flat) == {"\ufffd\ufffd": 1}


def test_mounts_of_a_hybrid_host() -> None:
    v2, v1 = cgroup.parse_mounts(
        "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n"
        "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
        "cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0\n"
        "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
        "cgroup /mnt/with\\040space cgroup rw,memory 0 0\n"
        "cgroup /chroot/cgroup/memory cgroup rw,memory 0 0\n"
        "cgroup2 /chroot/cgroup cgroup2 rw 0 0\n"
    )
    assert v2 == "/sys/fs/cgroup/unified", "the host's own, not a chroot's"
    assert v1 == {
        "cpu": "/sys/fs/cgroup/cpu,cpuacct",
        "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "memory": "/mnt/with space",
    }
    hierarchies = cgroup.find_hierarchies(Path(__file__).parent)
    assert hierarchies.roots == (), "no proc/mounts, no hierarchies"


def test_io_of_several_devices_is_added_up() -> None:
    text = "8:0 rbytes=1 wbytes=2 rios=3 wios=4\n253:0 8:16 rbytes=10 wbytes=20 rios=30 wios=40 cost.usage=5\n"
    assert cgroup_files.parse_io_stat(text) == {"rbytes": 11, "wbytes": 22, "rios": 33, "wios": 44}
    assert cgroup_files.parse_blkio("8:0 Read 1\n8:16 Read 10\n8:16 Discard 5\nTotal 16\n") == {"Read": 11, "Write": 0}


def test_no_quota_is_no_limit() -> None:
    assert cgroup_files.parse_cpu_max("max 100000\n") is None


HEX = "b07d2e91c5f3a468" * 4


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("system.slice/nginx.service", "service"),
        ("user.slice/user-1000.slice/session-3.scope", "scope"),
        ("system.slice", "slice"),
        (f"docker/{HEX}", "container"),
        (f"system.slice/docker-{HEX}.scope", "container"),
        (f"machine.slice/libpod-{HEX}.scope", "container"),
        (f"machine.slice/libpod-conmon-{HEX}.scope", "scope"),
        (f"libpod_parent/libpod-{HEX}", "container"),
        (f"kubepods.slice/kubepods-pod1.slice/crio-{HEX}.scope", "container"),
        (f"kubepods.slice/kubepods-pod1.slice/cri-containerd-{HEX}.scope", "container"),
        (f"kubepods/besteffort/pod1/{HEX}", "container"),
        ("machine.slice/machine-lxc\\x2d9\\x2ddns.scope", "container"),
        ("lxc.payload.dns", "container"),
        ("machine.slice/machine-qemu\\x2d1\\x2dweb.scope", "vm"),
        ("machine/qemu-1-web.libvirt-qemu", "vm"),
        ("qemu.slice/100.scope", "vm"),
        ("machine.slice/machine-qemu.slice/backup.service", "service"),
        ("process_api/1327a51ed7c57904b932c340d21fa20f", "group"),
        ("docker", "group"),
    ],
)
def test_the_kind_is_in_the_name(path: str, kind: str) -> None:
    assert cgroup.group_kind(path) == kind


@settings(deadline=None)
@given(st.text())
def test_every_path_has_a_known_kind(path: str) -> None:
    assert cgroup.group_kind(path) in {"vm", "container", "service", "slice", "scope", "group"}


@pytest.mark.parametrize(
    ("command", "arguments", "name"),
    [
        ("nginx", "nginx: worker process\0", "nginx"),
        ("inventory-expor", "/opt/inventory-exporter\0--port\0", "inventory-exporter"),
        ("inventory-expor", "python3\0/opt/inventory-exporter.py\0", "inventory-exporter.py"),
        ("inventory-expor", "", "inventory-expor"),
        ("exactly-fifteen", "/bin/exactly-fifteen\0", "exactly-fifteen"),
    ],
)
def test_a_program_that_the_kernel_cut_short_has_its_whole_name(command: str, arguments: str, name: str) -> None:
    assert process.program_name(command, arguments) == name


@pytest.mark.parametrize("quotes", ["", '"', "'"])
def test_os_release_may_quote(quotes: str) -> None:
    assert host.parse_os_release(f"NAME=x\nID={quotes}debian{quotes}\nVERSION_ID=12") == "debian"
