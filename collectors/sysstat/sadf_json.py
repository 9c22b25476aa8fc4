"""``sadf -j FILE -- -A``, of sysstat 9 to 12: every key is optional, since versions and recorded activities differ."""

from __future__ import annotations

import contextlib
import datetime
import json
import zoneinfo
from collections.abc import Mapping

from collectors.records import TraceError
from collectors.sysstat.recording import (
    Reading,
    Recording,
    Restart,
    amount,
    busy_share,
    disk_sum,
    disk_totals,
    memory,
    net_sum,
    swap,
    time_of,
)

_PRESSURE = {
    "cpu_pressure_some_ratio": ("psi-cpu", "some_avg"),
    "memory_pressure_some_ratio": ("psi-mem", "some_avg"),
    "memory_pressure_full_ratio": ("psi-mem", "full_avg"),
    "io_pressure_some_ratio": ("psi-io", "some_avg"),
    "io_pressure_full_ratio": ("psi-io", "full_avg"),
}
_UTC = ("UTC", "GMT", "Z")


def parse(text: str, name: str) -> list[Recording]:
    """Every host of a file, or a TraceError that says where it is not what ``sadf`` writes."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TraceError(f"{name}: not JSON ({error}); export it again with `sadf -j FILE -- -A`") from None
    found = _object(_object(document, name).get("sysstat"), f"{name}: sysstat").get("hosts")
    if not isinstance(found, list) or not found:
        raise TraceError(f"{name}: sysstat.hosts: no host; export it again with `sadf -j FILE -- -A`")
    return [
        _recording(_object(host, f"{name}: hosts[{n}]"), name, f"{name}: hosts[{n}]") for n, host in enumerate(found)
    ]


def _recording(host: Mapping[str, object], file: str, place: str) -> Recording:
    zone = _text(host, "timezone")
    statistics = [
        _reading(entry, zone, f"{place}.statistics[{n}]") for n, entry in enumerate(_list(host, "statistics", place))
    ]
    restarts = []
    for n, entry in enumerate(_list(host, "restarts", place)):
        boot = _object(entry.get("boot"), f"{place}.restarts[{n}].boot")
        at_s = _time(boot, zone, f"{place}.restarts[{n}].boot")
        restarts.append(Restart(at_s, _whole(boot, "cpu_count", f"{place}.restarts[{n}].boot")))
    name = _text(host, "nodename")
    if not name:
        raise TraceError(f"{place}.nodename: missing, so nothing says whose figures these are; write it in")
    return Recording(
        file,
        name,
        tuple(one for one in statistics if one),
        tuple(restarts),
        _text(host, "sysname"),
        _text(host, "release"),
        _whole(host, "number-of-cpus", place),
    )


def _reading(entry: Mapping[str, object], zone: str, place: str) -> Reading | None:
    """One interval, or None for an empty one, which ``sadf`` writes after the last."""
    if "timestamp" not in entry:
        if entry:
            raise TraceError(f"{place}.timestamp: missing; export it again with `sadf -j FILE -- -A`")
        return None
    at_s = _time(_object(entry["timestamp"], f"{place}.timestamp"), zone, f"{place}.timestamp")
    busy, cpus = _cpu(entry, place)
    kib = _amounts(entry, "memory", place)
    used, total, told = memory(kib)
    values = {"memory_working_set_bytes": used} if used is not None else {}
    values |= swap(kib) | _disks(entry, place) | _nics(entry, place) | _pressure(entry, place)
    return Reading(at_s, values, busy, cpus, total, told)


def _cpu(entry: Mapping[str, object], place: str) -> tuple[float | None, int | None]:
    """(share of CPU time in use, processors listed one by one)."""
    loads = _list(entry, "cpu-load", place)
    named = {_text(load, "cpu"): f"{place}.cpu-load[{n}]" for n, load in enumerate(loads)}
    for load in loads:
        if _text(load, "cpu") == "all" and "idle" in load:
            spent = [amount(load.get(mode, 0.0), f"{named['all']}.{mode}") for mode in ("idle", "iowait", "steal")]
            return busy_share(*spent), len(named) - 1 or None
    return None, None


def _disks(entry: Mapping[str, object], place: str) -> dict[str, float]:
    io = _object(entry.get("io", {}), f"{place}.io")
    reads, writes = _amounts(io, "io-reads", f"{place}.io"), _amounts(io, "io-writes", f"{place}.io")
    if {"rtps", "bread"} <= reads.keys() and {"wtps", "bwrtn"} <= writes.keys():
        return disk_totals(reads["rtps"], writes["wtps"], reads["bread"], writes["bwrtn"])
    disks = {}
    for n, disk in enumerate(_list(entry, "disk", place)):
        at = f"{place}.disk[{n}]"
        rates = {
            key: amount(disk[key], f"{at}.{key}") for key in ("tps", "rkB", "wkB", "rd_sec", "wr_sec") if key in disk
        }
        read, written = (
            rates.get(kib, rates.get(sectors, 0.0) / 2) for kib, sectors in (("rkB", "rd_sec"), ("wkB", "wr_sec"))
        )
        if "tps" in rates and rates.keys() & {"rkB", "rd_sec"}:
            disks[_text(disk, "disk-device")] = (rates["tps"], read, written)
    return disk_sum(disks)


def _nics(entry: Mapping[str, object], place: str) -> dict[str, float]:
    network = _object(entry.get("network", {}), f"{place}.network")
    nics = {}
    for n, nic in enumerate(_list(network, "net-dev", f"{place}.network")):
        if {"rxkB", "txkB"} <= nic.keys():
            at = f"{place}.network.net-dev[{n}]"
            nics[_text(nic, "iface")] = (amount(nic["rxkB"], f"{at}.rxkB"), amount(nic["txkB"], f"{at}.txkB"))
    return net_sum(nics)


def _pressure(entry: Mapping[str, object], place: str) -> dict[str, float]:
    pressure = _object(entry.get("psi", {}), f"{place}.psi")
    values = {}
    for metric, (resource, key) in _PRESSURE.items():
        if key in (percent := _amounts(pressure, resource, f"{place}.psi")):
            values[metric] = percent[key] / 100
    return values


def _time(stamp: Mapping[str, object], zone: str, place: str) -> int:
    """Unix time of a date and time: UTC where they say so, else the zone they or the file name."""
    written = f"{_text(stamp, 'date')} {_text(stamp, 'time')}"
    try:
        local = datetime.datetime.strptime(written, "%Y-%m-%d %H:%M:%S")
    except ValueError:
        raise TraceError(f"{place}: {written[:40]!r} is not a date and time; export it again with sadf") from None
    named = _text(stamp, "tz") or ("UTC" if stamp.get("utc") == 1 else zone)
    return time_of(local.replace(tzinfo=_zone(named, place)).timestamp(), place)


def _zone(name: str, place: str) -> datetime.tzinfo:
    if name in _UTC:
        return datetime.UTC
    with contextlib.suppress(KeyError, ValueError, OSError):  # the kinds of errors for a name that is no zone
        return zoneinfo.ZoneInfo(name)
    raise TraceError(
        f"{place}: local time of the zone {name[:40]!r}; export it in UTC, which `sadf -j` does without -t and -T"
    )


def _object(value: object, place: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TraceError(
            f"{place}: {str(value)[:40]!r} where an object belongs; export it again with `sadf -j FILE -- -A`"
        )
    return value


def _list(owner: Mapping[str, object], key: str, place: str) -> list[Mapping[str, object]]:
    values = owner.get(key, [])
    if not isinstance(values, list):
        raise TraceError(f"{place}.{key}: {str(values)[:40]!r} where a list belongs; export it again with sadf")
    return [_object(value, f"{place}.{key}[{n}]") for n, value in enumerate(values)]


def _amounts(owner: Mapping[str, object], key: str, place: str) -> dict[str, float]:
    """Numbers of a part by name; absent where the part is."""
    part = _object(owner.get(key, {}), f"{place}.{key}")
    return {name: amount(value, f"{place}.{key}.{name}") for name, value in part.items()}


def _text(owner: Mapping[str, object], key: str) -> str:
    value = owner.get(key, "")
    return value if isinstance(value, str) else ""


def _whole(owner: Mapping[str, object], key: str, place: str) -> int | None:
    return int(amount(owner[key], f"{place}.{key}")) if key in owner else None
