"""Energy that processors and their memory used, from the counters of RAPL (kernel document power/powercap.rst).

The hardware counts in a register that starts anew at a range that the kernel states (262 kJ last 22 minutes at
200 W), so the collector adds up what it saw since it began. Where two readings lie so far apart that the register may
have started anew twice, nobody knows the sum: counting begins again as another incarnation. Reading needs root, since
the figures tell an attacker what is computed (CVE-2020-8694); without it they are absent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from collectors.kernel import number, parse_boot_time, read
from collectors.records import Record, Sample

_ZONES = "intel-rapl:*"
"""Packages, and their parts; AMD's have the same names. ``intel-rapl-mmio`` has the same energy again."""
_COUNTED = ("package", "dram")
"""Beginnings of the names of zones that do not contain one another; ``core`` and ``uncore`` are in ``package``, and
``psys`` is all of them on some machines."""
_GREATEST_W = 1000
"""More than a package or its memory draws, so the range lasts at least this many seconds a kilojoule."""


@dataclass(frozen=True)
class Meter:
    """One zone's register."""

    energy_uj: int
    range_uj: int
    """Greatest value; the next one is 0."""

    def since(self, before: Meter) -> int:
        """Microjoules between two readings less than one range apart."""
        difference = self.energy_uj - before.energy_uj
        return difference if difference >= 0 else difference + self.range_uj + 1


@dataclass(frozen=True)
class Account:
    """What was added up below one root so far."""

    began_s: int
    at_s: int
    used_uj: int
    meters: dict[str, Meter]

    def add(self, at_s: int, meters: dict[str, Meter]) -> Account:
        """Carry on with the next readings, or begin again where the time between is too long or zones changed."""
        shortest_s = min(meter.range_uj for meter in meters.values()) / 1e6 / _GREATEST_W
        if meters.keys() != self.meters.keys() or not 0 <= at_s - self.at_s < shortest_s:
            return Account(at_s, at_s, 0, meters)
        used_uj = sum(meter.since(self.meters[zone]) for zone, meter in meters.items())
        return Account(self.began_s, at_s, self.used_uj + used_uj, meters)


def read_meters(root: Path) -> dict[str, Meter]:
    """Every zone that counts, by its folder's name; none at all where one of them cannot be read."""
    zones = root / "sys/class/powercap"
    meters: dict[str, Meter] = {}
    for zone in sorted(zones.glob(_ZONES)):
        if (read(zone / "name", str.strip) or "").startswith(_COUNTED):
            energy_uj, range_uj = (read(zone / file, number) for file in ("energy_uj", "max_energy_range_uj"))
            if energy_uj is None or not range_uj or energy_uj > range_uj:
                return {}
            meters[zone.name] = Meter(energy_uj, range_uj)
    return meters


class EnergyCollector:
    """Joules used since the collector's first reading; rates of it are watts."""

    name = "energy"

    def __init__(self) -> None:
        self._accounts: dict[Path, Account] = {}

    def collect(self, root: Path, host: str, at_s: int) -> Iterable[Record]:
        """Read each zone once; the incarnation is the boot and the time of the first reading."""
        meters = read_meters(root)
        if not meters:
            self._accounts.pop(root, None)
            return
        boot = parse_boot_time((root / "proc/stat").read_text())
        before = self._accounts.get(root, Account(at_s, at_s, 0, meters))
        account = self._accounts[root] = before.add(at_s, meters)
        yield Sample(at_s, host, None, f"{boot}-{account.began_s}", "energy_joules_total", account.used_uj / 1e6)
