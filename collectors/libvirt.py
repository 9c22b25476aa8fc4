"""Virtual machines of libvirt, through ``virsh`` (virsh(1), and virConnectGetAllDomainStats of libvirt's reference).

One call a round asks for the names and figures of all domains, read-only; their XML is asked for once in each of their
lives. What a guest needs of memory is what it says itself, through its balloon driver: the emulator holds on to pages
that the guest has long freed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from collectors.cgroup import group_kind
from collectors.kernel import number, read
from collectors.libvirt_xml import parse_systems
from collectors.process import parse_stat
from collectors.records import Record, Sample, WorkloadRecord

_SOCKETS = ("virtqemud-sock-ro", "libvirt-sock-ro")
"""Below ``/run/libvirt``, of the daemon for QEMU alone and of the one for everything; anyone may read through them."""
_PATIENCE_S = 20
"""A daemon that is busy migrating answers late; one that hangs must not keep the other collectors waiting."""
_STALE_S = 300
"""The balloon driver is asked every few seconds; what is this old was said by a guest that no longer runs it."""
_OFF = ("5", "6")
"""States without a process: shut off, crashed (virDomainState)."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INDEX = re.compile(r"\.\d+(?=\.)")
_DEVICE = re.compile(r"(net|block)\.\d+\.name|vcpu\.\d+\.time")
_GUEST = "memory_guest_"
_AVAILABLE, _USABLE = f"{_GUEST}available_bytes", f"{_GUEST}usable_bytes"

_NANOSECONDS, _KIBIBYTES = 1e9, 1 / 1024
_METRICS: Mapping[str, tuple[str, float]] = {
    "cpu.time": ("cpu_seconds_total", _NANOSECONDS),
    "vcpu.wait": ("cpu_wait_seconds_total", _NANOSECONDS),
    "vcpu.delay": ("cpu_delay_seconds_total", _NANOSECONDS),
    "balloon.rss": ("memory_rss_bytes", _KIBIBYTES),
    "balloon.current": ("memory_balloon_bytes", _KIBIBYTES),
    "balloon.available": (_AVAILABLE, _KIBIBYTES),
    "balloon.unused": (f"{_GUEST}unused_bytes", _KIBIBYTES),
    "balloon.usable": (_USABLE, _KIBIBYTES),
    "block.rd.bytes": ("disk_read_bytes_total", 1),
    "block.wr.bytes": ("disk_write_bytes_total", 1),
    "block.rd.reqs": ("disk_reads_total", 1),
    "block.wr.reqs": ("disk_writes_total", 1),
    "net.rx.bytes": ("net_rx_bytes_total", 1),
    "net.tx.bytes": ("net_tx_bytes_total", 1),
}
"""libvirt's key without the number of a disk, interface or processor; the metric, and how many of libvirt's units make
one of its own."""


class LibvirtError(RuntimeError):
    """A daemon that is there and does not answer: its URI, what was asked, and its answer."""


@dataclass(frozen=True)
class Domain:
    """What libvirt says of a virtual machine in one round."""

    uuid: str
    name: str
    stats: Mapping[str, str]

    @property
    def runs(self) -> bool:
        """Whether it has an emulator, though perhaps a paused one."""
        return self.stats.get("state.state") not in _OFF

    @property
    def devices(self) -> str:
        """What totals are made over: those over other disks, interfaces or processors are not to be compared."""
        named = ((key, value) for key, value in self.stats.items() if _DEVICE.fullmatch(key))
        return ",".join(sorted(key if key.startswith("vcpu") else f"{key}={value}" for key, value in named))

    @property
    def limits(self) -> dict[str, int]:
        """Processors and the greatest memory that it may have."""
        cpus, kibibytes = (number(self.stats.get(key, "0")) for key in ("vcpu.current", "balloon.maximum"))
        amounts = {"cpu_milli": cpus * 1000, "memory_bytes": kibibytes * 1024}
        return {dimension: amount for dimension, amount in amounts.items() if amount}

    def values(self, at_s: int) -> dict[str, float]:
        """Every metric that libvirt has of it, in total over its disks, interfaces and processors."""
        found: dict[str, float] = {}
        for key, value in self.stats.items():
            metric, units = _METRICS.get(_INDEX.sub("", key), ("", 1))
            if metric:
                found[metric] = found.get(metric, 0) + number(value) / units
        if not at_s - _STALE_S <= number(self.stats.get("balloon.last-update", str(at_s))):
            found = {metric: value for metric, value in found.items() if not metric.startswith(_GUEST)}
        if _AVAILABLE in found and found.get(_USABLE, float("inf")) <= found[_AVAILABLE]:
            found["memory_working_set_bytes"] = found[_AVAILABLE] - found[_USABLE]
        elif "memory_rss_bytes" in found:
            found["memory_working_set_bytes"] = found["memory_rss_bytes"]
        return found


def parse_domains(text: str) -> list[Domain]:
    """Parse the output of ``list --all --uuid --name; domstats --raw``: first the names, then a block for each.

    A domain that is in only one of the two came or went between them, and is left to the next round.
    """
    uuids: dict[str, str] = {}
    stats: dict[str, dict[str, str]] = {}
    block: dict[str, str] | None = None
    for line in filter(str.strip, text.splitlines()):
        if line.startswith("Domain: '") and line.endswith("'"):
            block = stats[line.removeprefix("Domain: '").removesuffix("'")] = {}
        elif block is None:
            uuid, _, name = line.strip().partition(" ")
            if not _UUID.fullmatch(uuid) or not name:
                raise ValueError(f"{line[:60]!r} is not a domain's UUID and name")
            uuids[name.strip()] = uuid
        else:
            key, equals, value = line.strip().partition("=")
            if not equals:
                raise ValueError(f"{line[:60]!r} is not one of a domain's figures")
            block[key] = value
    return [Domain(uuid, name, stats[name]) for name, uuid in uuids.items() if name in stats]


def parse_group(text: str) -> str:
    """Path of a virtual machine's group from ``/proc/PID/cgroup``; empty where the process is in no such group.

    The emulator's threads are in groups below it, which differ from hierarchy to hierarchy.
    """
    for line in text.splitlines():
        parts = line.split(":", maxsplit=2)[-1].strip("/").split("/")
        paths = ("/".join(parts[:length]) for length in range(1, len(parts) + 1))
        if group := next((path for path in paths if group_kind(path) == "vm"), ""):
            return group
    return ""


class LibvirtCollector:
    """Virtual machines of this host: what they may use, what they use, and what they waited for.

    ``uri`` names the daemon, as virsh's ``--connect`` does; else LIBVIRT_DEFAULT_URI, where that is on this host; else
    the system's own below the root. Where there is none, there is nothing to say.
    """

    name = "libvirt"

    def __init__(self, uri: str = "") -> None:
        self._uri = uri
        self._systems: dict[tuple[str, str], str] = {}
        """Operating systems by UUID and life."""

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Ask once for all domains, and for the XML of those that are new; the incarnation is the emulator's life.

        Raises:
            LibvirtError: where the daemon does not answer.
            ValueError: where virsh prints what it is not documented to.

        """
        uri = self._uri or _local_uri(os.environ.get("LIBVIRT_DEFAULT_URI", ""), root) or _socket_uri(root)
        if not uri or shutil.which("virsh") is None:
            return
        domains = parse_domains(_virsh(uri, "list --all --uuid --name; domstats --raw --nowait"))
        processes = [_process(root, domain) for domain in domains]
        self._learn(uri, [(domain.uuid, life) for domain, (life, _) in zip(domains, processes, strict=True)])
        for domain, (life, cgroup) in zip(domains, processes, strict=True):
            yield WorkloadRecord(
                domain.name,
                "vm",
                host,
                self._systems[domain.uuid, life],
                cgroup,
                domain.limits,
                machine_id=domain.uuid,
                state="" if domain.runs else "off",
            )
            if domain.runs:
                yield from _samples(domain, life, host, at_s)

    def _learn(self, uri: str, lives: list[tuple[str, str]]) -> None:
        """Ask for the operating systems of those that are new, and forget those that are gone."""
        new = [life for life in lives if life not in self._systems]
        systems: dict[str, str] = {}
        if new:
            # One that ended since is unknown to virsh, which is no failure.
            systems = parse_systems(_virsh(uri, "; ".join(f"dumpxml {uuid}" for uuid, _ in new), may_fail=True))
        self._systems = {life: self._systems.get(life, systems.get(life[0], "")) for life in lives}


def _samples(domain: Domain, life: str, host: str, at_s: int) -> Iterator[Sample]:
    incarnation = hashlib.sha256(f"{domain.uuid},{life},{domain.devices}".encode()).hexdigest()[:12]
    for metric, value in domain.values(at_s).items():
        yield Sample(at_s, host, domain.name, incarnation, metric, float(value))


def _process(root: Path, domain: Domain) -> tuple[str, str]:
    """Life and control group of a domain's emulator; both empty where it has none, or may not be looked at."""
    pid = read(root / "run/libvirt/qemu" / f"{domain.name}.pid", number) if domain.runs else None
    process = read(root / "proc" / str(pid) / "stat", parse_stat) if pid else None
    if process is None:
        return "", ""
    return f"{pid}:{process.started_ticks}", read(root / "proc" / str(pid) / "cgroup", parse_group) or ""


def _local_uri(uri: str, root: Path) -> str:
    """The URI, if it names a daemon of this host: an administrator's may well name another one."""
    parts = urlsplit(uri)
    return uri if root == Path("/") and parts.scheme in {"qemu", "qemu+unix"} and not parts.netloc else ""


def _socket_uri(root: Path) -> str:
    sockets = (root / "run/libvirt" / name for name in _SOCKETS)
    return next((f"qemu:///system?socket={socket}" for socket in sockets if socket.exists()), "")


def _virsh(uri: str, commands: str, *, may_fail: bool = False) -> str:
    """Run virsh's commands, read-only and in the language of its documents."""
    words = ["virsh", "--quiet", "--readonly", "--connect", uri, commands]
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(words, capture_output=True, timeout=_PATIENCE_S, check=False, env=environment)
    except subprocess.TimeoutExpired:
        raise LibvirtError(f"{uri} does not answer {commands!r} within {_PATIENCE_S} s; see libvirt's log") from None
    if done.returncode and not may_fail:
        complaint = " ".join(done.stderr.decode(errors="replace").split())
        raise LibvirtError(f"{uri} refuses {commands!r} ({complaint[:300]}); see libvirt's log")
    return done.stdout.decode(errors="replace")
