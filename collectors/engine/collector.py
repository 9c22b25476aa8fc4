"""Containers of an engine: what the engine knows of them and the kernel does not.

Names, labels, limits and restarts come from the engine. Whatever a control group counts is left to the cgroup
collector, and network bytes come from the network namespace in ``/proc``: an engine takes a second or two for its
own statistics. The list is asked for every round, details only of containers that started since. Nothing else of
them changes but limits, for which the kernel's files are believed anyway (``collectors.identity``).
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from collectors.engine.documents import Details, Listed, parse_details
from collectors.engine.labels import group_of, owner_of, stable_name, unit_of
from collectors.engine.service import GoneError, Service, ServiceError
from collectors.failures import Incomplete
from collectors.kernel import number, read
from collectors.process import parse_stat
from collectors.records import Record, Sample, WorkloadRecord


def own_group(text: str, container_id: str, unit: str = "") -> str:
    """The container's control group, from ``/proc/PID/cgroup`` of its first process; empty where it has none.

    That process may be further inside (``…/container``, ``…/init.scope``), so the group is the outermost one that
    carries the container's id, or that of the systemd unit that was made for it. A path without the id is not the
    container's: it shares its starter's group, or the process is not on this host at all.

    >>> own_group("0::/machine.slice/libpod-5e8f.scope/container", "5e8f")
    'machine.slice/libpod-5e8f.scope'
    """
    for line in text.splitlines():
        _, _, path = line.split(":", 2)
        if container_id in path:
            parts = path.strip("/").split("/")
            depth = next(at for at, part in enumerate(parts) if container_id in part or part == unit)
            return "/".join(parts[: depth + 1])
    return ""


def parse_traffic(text: str) -> tuple[int, int] | None:
    """Bytes received and sent over all interfaces but the loopback, from ``/proc/PID/net/dev``; None without any."""
    received = sent = 0
    names = set()
    for line in text.splitlines()[2:]:
        name, _, counters = line.rpartition(":")
        fields = counters.split()
        if len(fields) != 16:
            raise ValueError(f"{len(fields)} counters of an interface where 16 belong")
        if name.strip() != "lo":
            names.add(name)
            received += number(fields[0])
            sent += number(fields[8])
    return (received, sent) if names else None


def socket_named(value: str) -> Path | None:
    """The socket in a variable such as DOCKER_HOST; None where that names an engine of another machine, or nothing.

    >>> socket_named("unix:///run/user/1000/docker.sock"), socket_named("ssh://web-2")
    (PosixPath('/run/user/1000/docker.sock'), None)
    """
    scheme, _, path = value.partition("://")
    return Path(path) if scheme == "unix" and path else None


@dataclass(frozen=True)
class Kills:
    """How often a container ended for want of memory and was started again.

    The kernel counts that in the container's group, which ends with it, so the count would never be read.
    """

    incarnation: str
    times: int = 0
    """Since it was first seen: of several between two rounds, one is counted."""


@dataclass(frozen=True)
class Container:
    """A container that runs."""

    listed: Listed
    details: Details
    cgroup: str
    stat: Path
    """Of its first process, as ``interfaces``; paths are kept, since to make one takes as long as to read a file."""
    interfaces: Path | None
    """None where its network is not its own."""
    started_ticks: int
    """Start of the first process, which tells it from a later one of the same number."""
    kills: Kills | None
    """None where the engine does not notice them."""

    @property
    def life(self) -> str:
        """Incarnation of what is counted over all starts of this container."""
        return self.listed.id[:12]

    def runs(self) -> bool:
        """Whether the first process is still the one that was found."""
        process = read(self.stat, parse_stat)
        return process is not None and process.started_ticks == self.started_ticks

    def records(self, name: str, host: str, at_s: int) -> Iterator[Record]:
        """Under a name: the workload, the bytes of a network of its own, and how often it was restarted."""
        labels, details = self.listed.labels, self.details
        group, owner = group_of(labels, self.listed.pod), owner_of(labels)
        yield WorkloadRecord(name, "container", host, "linux", self.cgroup, details.limits, group=group, owner=owner)
        traffic = read(self.interfaces, parse_traffic) if self.interfaces else None
        if traffic is not None:
            start = f"{self.life}@{details.started_at}"
            for metric, value in zip(("net_rx_bytes_total", "net_tx_bytes_total"), traffic, strict=True):
                yield Sample(at_s, host, name, start, metric, float(value))
        if details.restarts is not None:
            yield Sample(at_s, host, name, self.life, "restarts_total", float(details.restarts))
        if self.kills is not None:
            yield Sample(at_s, host, name, self.kills.incarnation, "oom_restarts_total", float(self.kills.times))


def lasting_names(containers: Iterable[Container]) -> dict[str, Container]:
    """Containers by the names that outlast them.

    While an orchestrator replaces one, two have the same; the later is then called as its engine calls it.
    """
    named: dict[str, Container] = {}
    for one in sorted(containers, key=lambda it: it.details.started_at):
        name = stable_name(one.listed.name, one.listed.labels)
        named[one.listed.name if name in named else name] = one
    return named


def find_container(root: Path, listed: Listed, details: Details, kills: Kills | None) -> Container | None:
    """The container with its process and control group; None where it has ended, or runs elsewhere."""
    process = root / "proc" / str(details.pid)
    unit = unit_of(listed.labels)
    started = read(process / "stat", parse_stat)
    cgroup = read(process / "cgroup", lambda text: own_group(text, listed.id, unit))
    if started is None or not cgroup:
        return None
    interfaces = process / "net/dev" if details.own_network else None
    return Container(listed, details, cgroup, process / "stat", interfaces, started.started_ticks, kills)


class ContainerCollector(ABC):
    """Running containers of one engine, remembered from round to round.

    An engine whose usual socket does not exist is not installed, which is no failure. One that stops answering is:
    its containers go on, so whatever still runs keeps its name while the engine is away.
    """

    name: str
    variable: str
    """Environment variable that names another socket, as for the engine's own client."""
    place: str
    """The usual socket, below the root."""
    notices_kills: bool
    """Whether the engine remembers that a container ended for want of memory."""

    def __init__(self, socket: Path | None = None) -> None:
        self._named = socket
        self._root = Path("/")
        self._running: dict[str, Container] = {}
        self._kills: dict[str, Kills] = {}

    @abstractmethod
    def listed(self, service: Service) -> list[Listed]:
        """Ask the engine for its running containers."""

    def collect(self, root: Path, host: str, at_s: int) -> list[Record]:
        """Ask the engine, then read ``/proc`` of each container.

        Raises:
            Incomplete: where the engine does not answer, or not sensibly, for some or all of the containers.

        """
        failures = self._look(root)
        named = lasting_names(self._running.values())
        records = [record for name, one in named.items() for record in one.records(name, host, at_s)]
        if failures:
            more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
            raise Incomplete(f"{failures[0]}{more}", records)
        return records

    def _look(self, root: Path) -> list[str]:
        """Bring what runs up to date; return what the engine could not say."""
        if root != self._root:
            self._root, self._running = root, {}
        known = {key: one for key, one in self._running.items() if one.runs()}
        named = self._named or socket_named(os.environ.get(self.variable, ""))
        usual = root / self.place
        if not named and not known and not os.path.exists(usual):
            self._running = {}
            return []
        try:
            with Service(named or usual) as service:
                self._running, failures = self._found(known, service)
        except ServiceError as error:
            self._running, failures = known, [str(error)]
        return failures

    def _found(self, known: dict[str, Container], service: Service) -> tuple[dict[str, Container], list[str]]:
        """Running containers, and what the engine could not say of some."""
        found: dict[str, Container] = {}
        failures = []
        rows = self.listed(service)
        for listed in rows:
            if listed.id in known:
                found[listed.id] = replace(known[listed.id], listed=listed)  # it may have been renamed
                continue
            try:
                details = service.get_json(f"/containers/{listed.id}/json", parse_details)
            except GoneError:  # it ended meanwhile
                continue
            except ServiceError as error:
                failures.append(str(error))
                continue
            kills = self._count_kills(listed, details) if self.notices_kills else None
            if (container := find_container(self._root, listed, details, kills)) is not None:
                found[listed.id] = container
        self._kills = {one.id: self._kills[one.id] for one in rows if one.id in self._kills}
        return found, failures

    def _count_kills(self, listed: Listed, details: Details) -> Kills:
        """Count a start of a container; what was before the first that is seen is not known."""
        known = self._kills.get(listed.id)
        if known is None:
            known = Kills(f"{listed.id[:12]}@{details.started_at}")
        elif details.pid and details.killed_before:
            known = replace(known, times=known.times + 1)
        self._kills[listed.id] = known
        return known
