"""The mapping file: which column of a table is what.

.. code-block:: toml

    [columns]                      # names as in the header
    at = "time"
    host = "server"                # or {value = "web-1"}: the same in every row
    workload = "vm"                # left out where rows are of hosts themselves

    [time]                         # left out for Unix seconds, and for text with a zone of its own
    unit = "ms"                    # s, ms, us, ns, minutes, hours; or "text"
    format = "%d.%m.%Y %H:%M"      # of text that is not ISO 8601
    zone = "Europe/Berlin"         # of text that names none
    origin = 2024-01-01T00:00:00Z  # what relative times count from

    [metrics]
    cpu_cores = {column = "cpu", unit = "percent-of-cores", cores = "vcpus"}
    memory_working_set_bytes = {column = "mem", unit = "MiB"}

    [size]                         # limits of workloads, or capacities of hosts
    memory_bytes = {column = "ram", unit = "GiB"}

In the long form, where every row is one number, ``[columns]`` has ``metric`` and ``value`` as well, and a metric has
the ``name`` that stands in that column instead of a ``column`` of its own.
"""

from __future__ import annotations

import datetime
import difflib
import tomllib
import zoneinfo
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from collectors.records import METRICS, TraceError
from collectors.tables.units import SIZES, Unit, units_of

TIME_UNITS: Mapping[str, float] = {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "minutes": 60, "hours": 3600}
_TOO_MUCH = 1e15
_KINDS = ("service", "scope", "container", "group", "process", "vm")


@dataclass(frozen=True)
class Given:
    """A column, or the same value in every row."""

    column: str = ""
    value: str | float = ""


@dataclass(frozen=True)
class Amount:
    """One metric or size: where it stands and how it becomes ours."""

    name: str
    column: str
    unit: Unit
    entry: str = ""
    """What stands in the metric column, in the long form."""
    reference: Given | None = None
    """What the unit is a share of, or how much makes one."""


@dataclass(frozen=True)
class TimeColumn:
    """When a row was measured."""

    column: str
    unit: str = ""
    """Empty where the column's type decides: text or timestamp, else seconds."""
    format: str = ""
    zone: str = ""
    origin_s: float = 0.0


@dataclass(frozen=True)
class TableMapping:
    """A mapping file."""

    file: str
    time: TimeColumn
    host: Given
    workload: Given | None
    metric_column: str
    """Empty in the wide form."""
    metrics: tuple[Amount, ...]
    sizes: tuple[Amount, ...] = ()
    kind: str = "vm"
    separator: str = ""
    decimal: str = "."

    @property
    def columns(self) -> list[str]:
        """Every column it reads."""
        amounts = (*self.metrics, *self.sizes)
        givens = [self.host, self.workload, *(it.reference for it in amounts)]
        named = [
            self.time.column,
            self.metric_column,
            *(it.column for it in givens if it),
            *(it.column for it in amounts),
        ]
        return list(dict.fromkeys(filter(None, named)))


class _Section:
    """A table of the file, read key by key, that says where it is wrong."""

    def __init__(self, file: str, name: str, values: object) -> None:
        self.file, self.name = file, name
        if not isinstance(values, dict):
            raise self.fault(f"{str(values)[:40]!r} where a table belongs; see the documentation of imports")
        self.values: dict[str, object] = dict(values)

    def fault(self, problem: str) -> TraceError:
        return TraceError(f"{self.file}: [{self.name}]: {problem}")

    def only(self, known: Iterable[str]) -> None:
        for key in self.values.keys() - set(known):
            raise self.fault(f"no key {key[:40]!r}; {_instead(key, known)}")

    def text(self, key: str, default: str | None = None) -> str:
        value = self.values.get(key, default)
        if value is None:
            raise self.fault(f"{key!r} is missing; name the column")
        if not isinstance(value, str):
            raise self.fault(f"{key} = {str(value)[:40]!r} is not a text; write it in quotes")
        if value != default and not (value and value.isprintable()):
            raise self.fault(f"{key} = {value[:40]!r} is empty or has letters that cannot be seen; write a name")
        return value

    def given(self, key: str) -> Given | None:
        """A column's name, a number, or ``{value = …}``; None where the key is absent."""
        value = self.values.get(key)
        if isinstance(value, dict) and value.keys() == {"value"}:
            value = value["value"]
            if isinstance(value, str) and value and value.isprintable():
                return Given(value=value)
        elif isinstance(value, str) and value and value.isprintable():
            return Given(column=value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _TOO_MUCH:
            return Given(value=float(value))
        if value is not None:
            raise self.fault(f"{key} = {str(value)[:40]!r} is neither a column nor a value; write a name or a number")
        return None


def parse(text: str, file: str) -> TableMapping:
    """The mapping of a file, or a TraceError with the section, the key and the remedy."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TraceError(f"{file}: not TOML: {error}; mend it") from None
    top = _Section(file, "", document)
    top.only(("columns", "time", "metrics", "size", "workloads", "format"))
    columns = _Section(file, "columns", document.get("columns", {}))
    columns.only(("at", "host", "workload", "metric", "value"))
    time = _time(_Section(file, "time", document.get("time", {})), columns.text("at"))
    host = columns.given("host")
    if host is None:
        raise columns.fault("'host' is missing; name the column, or host = {value = \"NAME\"} for all rows")
    metric_column = columns.text("metric", "")
    value_column = columns.text("value") if metric_column else ""
    metrics = tuple(_metrics(_Section(file, "metrics", document.get("metrics", {})), value_column))
    if not metrics:
        raise TraceError(f"{file}: [metrics]: none; name at least one, such as cpu_cores = {{column = …, unit = …}}")
    form = _Section(file, "format", document.get("format", {}))
    form.only(("separator", "decimal"))
    workloads = _Section(file, "workloads", document.get("workloads", {}))
    workloads.only(("kind",))
    kind = workloads.text("kind", "vm")
    if kind not in _KINDS:
        raise workloads.fault(f"no kind {kind[:40]!r}; {_instead(kind, _KINDS)}")
    return TableMapping(
        file,
        time,
        host,
        columns.given("workload"),
        metric_column,
        metrics,
        tuple(_sizes(_Section(file, "size", document.get("size", {})))),
        kind,
        _one_letter(form, "separator", ""),
        _one_letter(form, "decimal", "."),
    )


def _one_letter(form: _Section, key: str, default: str) -> str:
    letter = form.values.get(key, default)
    if letter != default and (not isinstance(letter, str) or len(letter) != 1 or letter in '"\n\r\0'):
        raise form.fault(f"{key} = {str(letter)[:40]!r} is not one character; write such as ';'")
    return str(letter)


def _time(section: _Section, column: str) -> TimeColumn:
    section.only(("unit", "format", "zone", "origin"))
    unit, zone = section.text("unit", ""), section.text("zone", "")
    if unit not in ("", "text", *TIME_UNITS):
        raise section.fault(f"no unit {unit[:40]!r} of time; {_instead(unit, ('text', *TIME_UNITS))}")
    if zone:
        try:
            zoneinfo.ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise section.fault(f"no zone {zone[:40]!r}; name one of the tz database, such as Europe/Berlin") from None
    origin = section.values.get("origin")
    if origin is not None and (not isinstance(origin, datetime.datetime) or origin.tzinfo is None):
        raise section.fault(f"origin = {str(origin)[:40]!r} is no time with a zone; write such as 2024-01-01T00:00:00Z")
    return TimeColumn(column, unit, section.text("format", ""), zone, origin.timestamp() if origin else 0.0)


def _metrics(section: _Section, value_column: str) -> Iterable[Amount]:
    section.only(METRICS)
    for name, entry in section.values.items():
        yield _amount(_Section(section.file, f"metrics.{name}", entry), name, units_of(name), value_column)


def _sizes(section: _Section) -> Iterable[Amount]:
    section.only(SIZES)
    for name, entry in section.values.items():
        yield _amount(_Section(section.file, f"size.{name}", entry), name, SIZES[name], "")


def _amount(section: _Section, name: str, units: Mapping[str, Unit], value_column: str) -> Amount:
    section.only(("column", "name", "unit", "cores", "mhz_per_core", "memory"))
    written = section.text("unit", "1" if "1" in units else "")
    unit = units.get(written)
    if unit is None:
        if "percent" in written or written == "%":
            needed = _needed_for_share(units)
            raise section.fault(f"unit = {written[:40]!r} does not say of how much; {needed}")
        raise section.fault(f"no unit {written[:40]!r} of {name}; {_instead(written, units)}")
    needs = unit.times or unit.over
    reference = section.given(needs) if needs else None
    if needs and (reference is None or (not reference.column and isinstance(reference.value, str))):
        raise section.fault(f"unit = {written!r} needs {needs}, a column or a number; add {needs} = …")
    if value_column:
        return Amount(name, value_column, unit, section.text("name"), reference)
    return Amount(name, section.text("column"), unit, "", reference)


def _needed_for_share(units: Mapping[str, Unit]) -> str:
    shares = [
        f"{name!r}" + (f" with {unit.times}" if unit.times else "") for name, unit in units.items() if "of" in name
    ]
    return f"write {' or '.join(shares)}" if shares else f"write one of {', '.join(units)}"


def _instead(word: str, known: Iterable[str]) -> str:
    names: Collection[str] = list(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"write one of {', '.join(names)}"
