"""A segment: some minutes of one host, in lines of JSON that only say what changed.

    {"type": "Segment", "format": 1, "host": "web-1"}
    {"type": "HostRecord", …} {"type": "WorkloadRecord", …}                 all of the inventory, when any of it changed
    {"type": "Series", "first": 0, "workload": "shop.service", "incarnation": "7", "metrics": ["pids", …]}
    {"type": "Round", "at_s": 1780315200, "series": [0, 1], "values": [3, 0.5]}
    {"type": "Round", "at_s": 1780315210, "series": [1], "values": [0.7], "absent": [0]}

A series keeps its value until a round gives it another one or says that it is absent. A round's line ends what
belongs to it: whatever follows the last one was being written when the writer was killed, and does not count.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from collectors.agent.observer import Round
from collectors.reading import Reading
from collectors.records import Record, as_fields

FORMAT = 1
SUFFIX = ".jsonl.gz"
LARGEST_BYTES = 256 << 20
"""Of a segment's text: far more than an agent writes, and less than would hurt who reads it."""
_GZIP = 31
"""zlib's code for a gzip stream with the usual window."""


class SegmentError(ValueError):
    """What is no segment, in words for its reader."""


def line(fields: dict[str, object]) -> str:
    """One line of a segment."""
    return json.dumps(fields, separators=(",", ":"), allow_nan=False) + "\n"


def describe(record: Record) -> str:
    """A record of the inventory as a line, as ``python -m collectors`` prints it."""
    return line({"type": type(record).__name__, **as_fields(record)})


@dataclass(slots=True)
class _Known:
    """A workload whose series the segment has introduced."""

    reading: Reading
    numbers: dict[str, int]
    """Of its series, by metric."""
    round: int


class Encoder:
    """Rounds to lines; one for each segment, so that each can be read alone."""

    def __init__(self, host: str) -> None:
        self._known: dict[tuple[str | None, str], _Known] = {}
        self._series = 0
        self._round = 0
        self._header = line({"type": "Segment", "format": FORMAT, "host": host})

    def encode(self, found: Round, inventory: Sequence[Record] = ()) -> bytes:
        """Lines of one round, and of an inventory that has to be told."""
        self._round += 1
        lines = [self._header] if self._round == 1 else []
        lines += map(describe, inventory)
        series: list[int] = []
        values: list[float] = []
        absent: list[int] = []
        for reading in found.readings:
            self._add(reading, lines, series, values, absent)
        for key in [key for key, known in self._known.items() if known.round != self._round]:
            gone = self._known.pop(key)
            absent += [gone.numbers[metric] for metric in gone.reading.values]
        fields: dict[str, object] = {"type": "Round", "at_s": found.at_s, "series": series, "values": values}
        lines.append(line({**fields, "absent": absent} if absent else fields))
        return "".join(lines).encode()

    def _add(
        self, reading: Reading, lines: list[str], series: list[int], values: list[float], absent: list[int]
    ) -> None:
        key = (reading.workload, reading.incarnation)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = _Known(Reading(*key, {}), {}, self._round)
        known.round = self._round
        before = known.reading.values
        if reading.values is before:
            return
        self._introduce(known, reading, lines)
        for metric, value in reading.values.items():
            if before.get(metric) != value:
                series.append(known.numbers[metric])
                values.append(value)
        absent += [known.numbers[metric] for metric in before.keys() - reading.values.keys()]
        known.reading = reading

    def _introduce(self, known: _Known, reading: Reading, lines: list[str]) -> None:
        new = [metric for metric in reading.values if metric not in known.numbers]
        if new:
            lines.append(
                line(
                    {
                        "type": "Series",
                        "first": self._series,
                        "workload": reading.workload,
                        "incarnation": reading.incarnation,
                        "metrics": new,
                    }
                )
            )
            known.numbers |= {metric: self._series + index for index, metric in enumerate(new)}
            self._series += len(new)


def unpack(packed: bytes) -> tuple[str, bool]:
    """Text of a gzip stream as far as it goes, and whether it ends as it should.

    Raises:
        SegmentError: where it is no gzip stream, or holds more than any segment.

    """
    stream = zlib.decompressobj(_GZIP)
    try:
        text = stream.decompress(packed, LARGEST_BYTES)
    except zlib.error as error:
        if salvaged := _salvage(packed):
            return salvaged, False
        raise SegmentError(f"not a gzip stream ({error})") from None
    if stream.unconsumed_tail:
        raise SegmentError(f"more than {LARGEST_BYTES >> 20} MiB of text; no agent writes that")
    return (text + stream.flush()).decode(errors="replace"), stream.eof


def _salvage(packed: bytes) -> str:
    """What comes before the damage: a piece at a time, since a failure takes with it what was given at once."""
    stream = zlib.decompressobj(_GZIP)
    parts = []
    for start in range(0, len(packed), 256):
        try:
            parts.append(stream.decompress(packed[start : start + 256]))
        except zlib.error:
            break
    return b"".join(parts).decode(errors="replace")


_ROUND = '{"type":"Round","at_s":'


def rounds_of(text: str) -> str:
    """The text without what follows its last round; empty where there is none."""
    lines = text.splitlines(keepends=True)
    while lines and not (lines[-1].startswith(_ROUND) and lines[-1].endswith("}\n")):
        lines.pop()
    return "".join(lines)


def last_round(text: str) -> int:
    """Time of the last line, which is a round's."""
    return int(json.loads(text.splitlines()[-1])["at_s"])


def pack(text: str) -> bytes:
    """A whole gzip stream of a text."""
    packer = packer_of()
    return packer.compress(text.encode()) + packer.flush()


def packer_of() -> zlib._Compress:
    """A gzip stream to be written piece by piece, each flushed so that it can be read back without the next."""
    return zlib.compressobj(level=6, wbits=_GZIP)


def lines_of(text: str) -> Iterator[dict[str, object]]:
    """Objects of a segment's lines.

    Raises:
        SegmentError: for a line that is no JSON object.

    """
    for number, piece in enumerate(text.splitlines(), start=1):
        try:
            fields = json.loads(piece)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            raise SegmentError(f"line {number}: {piece[:40]!r} is not a JSON object")
        yield fields
