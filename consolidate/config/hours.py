"""Hours of the week as people write them, ``Mon-Fri 08:00-18:00``, and the zone whose clocks show them."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from consolidate.errors import InputError
from consolidate.units import DAYS

_WRITTEN = re.compile(r"(\w{3})(?:-(\w{3}))? (\d\d):00-(\d\d):00")
_EXAMPLE = "write for example Mon-Fri 08:00-18:00"


def parse_hours(text: str) -> frozenset[int]:
    """Hours of the week, 0 = Monday 00:00, from days and whole hours; several are joined by commas.

    Raises:
        InputError: where they are none.

    """
    hours: set[int] = set()
    for part in text.split(","):
        match = _WRITTEN.fullmatch(part.strip())
        if not match or not {match[1], match[2] or match[1]} <= set(DAYS):
            raise InputError(f"{part.strip()!r} are no hours of the week; {_EXAMPLE}")
        first, last = DAYS.index(match[1]), DAYS.index(match[2] or match[1])
        begin, end = int(match[3]), int(match[4])
        if last < first or not begin < end <= 24:
            raise InputError(f"{part.strip()!r} ends before it begins; {_EXAMPLE}, and join several by commas")
        hours |= {day * 24 + hour for day in range(first, last + 1) for hour in range(begin, end)}
    return frozenset(hours)


def parse_zone(text: str) -> str:
    """A time zone's name, if there is such a zone.

    Raises:
        InputError: where there is none.

    """
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InputError(f"{text!r} is no time zone; write for example Europe/Berlin") from None
