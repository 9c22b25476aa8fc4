"""What a cell says: numbers in any country's way of writing, yes and no, times."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable

Cell = str | float | int | bool | datetime.datetime | datetime.date | datetime.time | datetime.timedelta | None

_SPACES = str.maketrans("", "", " \u00a0\u202f'’")
"""What some countries put between groups of three digits."""
_SPACED = re.compile(r"[+-]?\d{1,3}([ \u00a0\u202f'’]\d{3})+([.,]\d+)?", re.ASCII)
_NUMBER = re.compile(r"([+-]?)(\d[\d.,]*|[.,]\d+)(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)
_GROUPED = {",": re.compile(r"[1-9]\d{0,2}(,\d{3})+"), ".": re.compile(r"[1-9]\d{0,2}(\.\d{3})+")}
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
EARLIEST_S, LATEST_S = 946_684_800, 4_102_444_800
"""The years 2000 to 2100: a time outside is in another unit, or damaged."""


class CellError(ValueError):
    """What is wrong with a cell, and the remedy, as the second half of a sentence."""


def decimal_mark(texts: Iterable[str]) -> str:
    """The mark before decimals, as numbers show it that can be read in one way only; empty where none shows it.

    Raises:
        CellError: where two numbers show different marks.

    """
    shown: dict[str, str] = {}
    for text in texts:
        mark = _shown(text)
        if mark:
            shown.setdefault(mark, text)
    if len(shown) > 1:
        comma, point = (shown[mark].strip()[:40] for mark in ",.")
        raise CellError(f"{comma!r} has a decimal comma and {point!r} a decimal point; write all numbers in one way")
    return next(iter(shown), "")


def _shown(text: str) -> str:
    """The decimal mark of a number that can be read in one way only, otherwise empty."""
    digits = _digits(text)
    marks = [character for character in digits if character in ".,"]
    if not marks:
        return ""
    first, last = marks[0], marks[-1]
    if first != last:
        return last
    other = "," if last == "." else "."
    if len(marks) > 1:
        return other
    return "" if _GROUPED[last].fullmatch(digits) else last


def _digits(text: str) -> str:
    match = _match(text)
    return match[2] if match else ""


def _match(text: str) -> re.Match[str] | None:
    """Sign, digits with marks, and exponent."""
    bare = text.strip().removesuffix("%").rstrip()
    return _NUMBER.fullmatch(bare.translate(_SPACES) if _SPACED.fullmatch(bare) else bare)


def number(cell: Cell, mark: str = "", whole: bool = False, separator: str = "") -> float | None:
    """A cell's number, or None where it is empty.

    Args:
        cell: As it stands in the file.
        mark: Before decimals, as other numbers of the file show it.
        whole: Only whole numbers belong here, so that a comma before three digits is not a decimal comma.
        separator: Of the file's fields. Countries that separate by semicolons write decimal commas.

    Raises:
        CellError: where it is no number, or may be either of two.

    """
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    if isinstance(cell, bool) or not isinstance(cell, (str, int, float)):
        raise CellError(f"{str(cell)[:40]!r} is not a number; mend the cell")
    value = _read(cell, mark, whole, separator) if isinstance(cell, str) else float(cell)
    if not abs(value) < 2.0**53:
        raise CellError(f"{str(cell)[:40]!r} is more than there can be of anything; mend the cell")
    if whole and value % 1:
        raise CellError(f"{str(cell)[:40]!r} is not a whole number; mend the cell")
    return value


def _read(text: str, mark: str, whole: bool, separator: str) -> float:
    if text.isascii() and text.isdigit():
        return float(text)
    match = _match(text)
    if not match:
        raise CellError(f"{text.strip()[:40]!r} is not a number; mend the cell")
    digits = match[2]
    mark = _shown(text) or mark or _supposed(digits, whole, separator)
    thousands = "." if mark == "," else ","
    head, _, tail = digits.partition(mark)
    if mark in tail or thousands in tail or (thousands in head and not _GROUPED[thousands].fullmatch(head)):
        raise CellError(f"{text.strip()[:40]!r} is not a number; mend the cell")
    return float(f"{match[1]}{head.replace(thousands, '')}.{tail or '0'}{match[3] or ''}")


def _supposed(digits: str, whole: bool, separator: str) -> str:
    """The decimal mark where one mark before three digits is all there is to see."""
    if "," in digits:
        if not whole:
            raise CellError(
                f"{digits!r} is a thousand times more if the comma groups digits than if decimals follow it; "
                "export again without marks between digits, or with a decimal point"
            )
        return "."
    if "." in digits and separator == ";":
        if not whole:
            raise CellError(
                f"{digits!r} is a thousand times more if the point groups digits than if decimals follow it; "
                "export again without marks between digits"
            )
        return ","
    return "."


def flag(cell: Cell) -> bool | None:
    """Yes or no, or None where the cell is empty."""
    if isinstance(cell, bool) or cell is None:
        return cell
    text = f"{cell:g}" if isinstance(cell, float) else str(cell)
    if not text.strip():
        return None
    word = _WORDS.get(text.strip().casefold())
    if word is None:
        raise CellError(f"{text.strip()[:40]!r} is neither True nor False; mend the cell")
    return word


_ORDERED = re.compile(r"(\d{1,4})([-./])(\d{1,2})\2(\d{1,4})[T ,]*(?:(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?(.*)")
_HALF = re.compile(r"\s*([AaPp])\.?[Mm]\.?\s*")
_ZONE = re.compile(r"\s*(?:(Z)|([+-])(\d{2}):?(\d{2}))\s*")


def day_first(texts: Iterable[str]) -> bool | None:
    """Whether dates of a file have the day before the month; None where none of them shows it.

    Raises:
        CellError: where two dates show different orders.

    """
    shown: dict[bool, str] = {}
    for text in texts:
        match = _ORDERED.match(text.strip())
        if match and len(match[1]) < 3:
            first, second = int(match[1]), int(match[3])
            if match[2] == "." or first > 12:
                shown.setdefault(True, text)
            elif second > 12 or _HALF.fullmatch(match[8]):
                shown.setdefault(False, text)
    if len(shown) > 1:
        raise CellError(f"{shown[True].strip()[:40]!r} has the day first and {shown[False].strip()[:40]!r} the month")
    return next(iter(shown), None)


def moment(cell: Cell, days_first: bool | None = None) -> int | None:
    """Unix time of a cell, or None where it is empty; a time without a zone is taken to be UTC.

    Raises:
        CellError: where it is no time of the years 2000 to 2100, or day and month may be either.

    """
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    refusal = CellError(f"{str(cell)[:40]!r} is not a time; write for example 2026-05-15 11:40:24")
    if isinstance(cell, str):
        found = _time(cell.strip(), days_first, refusal)
    elif isinstance(cell, datetime.datetime):
        found = cell
    elif isinstance(cell, datetime.date):
        found = datetime.datetime(cell.year, cell.month, cell.day)
    else:
        raise refusal
    at_s = int((found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp())
    if not EARLIEST_S <= at_s < LATEST_S:
        raise CellError(f"{str(cell)[:40]!r} is not in the years 2000 to 2100; correct the source's clock")
    return at_s


def _time(text: str, days_first: bool | None, refusal: CellError) -> datetime.datetime:
    match = _ORDERED.fullmatch(text)
    if not match:
        raise refusal
    one, mark, two, three = int(match[1]), match[2], int(match[3]), int(match[4])
    half, zone = _HALF.fullmatch(match[8]), _ZONE.fullmatch(match[8])
    if match[8].strip() and not half and not zone:
        raise refusal
    if len(match[1]) == 4:
        year, month, day = one, two, three
    else:
        if days_first is None and mark != "." and not half and one <= 12 and two <= 12 and one != two:
            raise CellError(f"{text[:40]!r} may begin with its day or its month; export times as 2026-05-15 11:40:24")
        days = days_first if days_first is not None else mark == "." or one > 12
        year, month, day = three, *((two, one) if days else (one, two))
    hour = int(match[5] or 0)
    if half:
        hour = hour % 12 + (12 if half[1] in "Pp" else 0)
    try:
        found = datetime.datetime(year, month, day, hour, int(match[6] or 0), int(match[7] or 0))
        return found if zone is None else found.replace(tzinfo=_offset(zone))
    except ValueError:
        raise refusal from None


def _offset(zone: re.Match[str]) -> datetime.timezone:
    if zone[1]:
        return datetime.UTC
    shift = datetime.timedelta(hours=int(zone[3]), minutes=int(zone[4]))
    return datetime.timezone(-shift if zone[2] == "-" else shift)
