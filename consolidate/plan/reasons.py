"""Why a host is kept or freed, with the amount that decides it."""

from __future__ import annotations

from consolidate.model.demand import Demand, Unknown
from consolidate.model.fleet import Host
from consolidate.solve.loads import Needs
from consolidate.solve.shortage import Room
from consolidate.solve.solve import Result


class Reasons:
    """Reasons in one result."""

    def __init__(self, needs: Needs, result: Result) -> None:
        """Sum up once what every reason looks at."""
        self.fleet, self.demands = needs.fleet, needs.demands
        self.room = Room(needs, result.placement)
        # A standby host is no place to go to: its room is kept for another's failure.
        busy = result.placement.powered - result.placement.standby
        # Nor is one whose load nobody knows: nothing is moved there.
        unknown = {one.host for one in self.fleet.workloads if isinstance(self.demands[one.name], Unknown)}
        busy -= {name for name in unknown if name is not None}
        self.powered = [index for index, host in enumerate(self.fleet.hosts) if host.name in busy]
        self.on_host: dict[str, list[int]] = {}
        for index, workload in enumerate(self.fleet.workloads):
            assignment = result.placement.assignments.get(workload.name)
            if assignment is not None:
                self.on_host.setdefault(assignment.host, []).append(index)

    def of_host(self, host: Host, action: str) -> str:
        """One clause."""
        match action:
            case "free":
                had_any = any(workload.host == host.name for workload in self.fleet.workloads)
                return "everything on it fits elsewhere" if had_any else "nothing runs on it"
            case "off":
                return "off, and not needed"
            case "standby":
                return f"{'kept on' if host.on else 'started'}, empty, so that another host may fail"
        return self._why_kept(host)

    def _why_kept(self, host: Host) -> str:
        """What stands in the way of emptying it: move its workloads off one by one, largest first, and look."""
        others = [index for index in self.powered if self.fleet.hosts[index].name != host.name]
        workloads = [self.fleet.workloads[index] for index in self.on_host[host.name]]
        room = self.room.copy()
        sizes: list[tuple[int, int]] = []
        for position, workload in enumerate(workloads):
            demand = self.demands[workload.name]
            if isinstance(demand, Unknown):
                return f"{workload.name} stays: its demand is unknown ({demand.reason})"
            if not workload.movable:
                return f"{workload.name} is declared immovable"
            if others and not room.can_run(workload, others):
                return f"{workload.name} can run on no other host that stays on"
            sizes.append((-self._memory(demand), position))
        if not others:
            return "no other host that stays on may take anything in"
        for moved, (_, position) in enumerate(sorted(sizes)):
            shortage = room.take(workloads[position], others)
            if shortage is not None:
                return f"{shortage}, with {moved} of {len(workloads)} moved off" if moved else str(shortage)
        return "only the rules of its workloads keep it: there would be room elsewhere"

    def _memory(self, demand: Demand) -> int:
        return demand.peak.get("memory_bytes")
