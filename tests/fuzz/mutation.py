"""How files get damaged: cut short, doubled, other letters, other numbers, other fields, other separators."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

Damage = Callable[[Random, bytes, bytes], bytes]
_WORDS = (
    *(b"", b"0", b"-1", b"1e999", b"nan", b"inf", b"NULL", b"99999999999999999999", b"1.5", b"0x10", b"1_000"),
    *(
        b"1,5",
        b"1.234,5",
        b"\xc3\xa4",
        b"\xff\xfe",
        b"\x00",
        b"\xef\xbb\xbf",
        b"'",
        b'"',
        b"\\",
        b"{",
        b"[",
        b"%",
        b" ",
    ),
    *(b"2026-02-30", b"0001-01-01T00:00:00+14:00", b"9999-12-31 23:59:59", b"true", b"null", b"9" * 400),
    *("\u0663".encode(), "\u2028".encode(), b"\r", b"\n\n", b"=1+1", b"#REF!", b";", b",", b"\t", b"[[[[[[" * 50),
)
_NUMBER = re.compile(rb"-?\d+(\.\d+)?")
_FIELD = re.compile(rb"[^\s,;|\"{}\[\]:=]+")


def damaged(random: Random, seeds: Sequence[bytes]) -> bytes:
    """One of some valid files with one to four damages."""
    content, other = random.choice(seeds), random.choice(seeds)
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        content = random.choice(DAMAGES)(random, content, other)
    return content


def _at(random: Random, content: bytes) -> int:
    return random.randint(0, len(content))


def _cut(random: Random, content: bytes, other: bytes) -> bytes:
    return content[: _at(random, content)]


def _lose(random: Random, content: bytes, other: bytes) -> bytes:
    start = _at(random, content)
    return content[:start] + content[start + random.choice((1, 2, 8, 64)) :]


def _double(random: Random, content: bytes, other: bytes) -> bytes:
    start, end = sorted((_at(random, content), _at(random, content)))
    return content[:end] + content[start:end] + content[end:]


def _flip(random: Random, content: bytes, other: bytes) -> bytes:
    if not content:
        return content
    at = random.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]


def _insert(random: Random, content: bytes, other: bytes) -> bytes:
    at = _at(random, content)
    return content[:at] + random.choice(_WORDS) + content[at:]


def _replace(pattern: re.Pattern[bytes]) -> Damage:
    def replace(random: Random, content: bytes, other: bytes) -> bytes:
        places = list(pattern.finditer(content))
        if not places:
            return content
        place = random.choice(places)
        return content[: place.start()] + random.choice(_WORDS) + content[place.end() :]

    return replace


def _lines(random: Random, content: bytes, other: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    random.shuffle(lines)
    return b"".join(lines[: random.randint(1, len(lines) or 1)])


def _splice(random: Random, content: bytes, other: bytes) -> bytes:
    return content[: _at(random, content)] + other[_at(random, other) :]


def _separators(random: Random, content: bytes, other: bytes) -> bytes:
    return content.replace(random.choice((b",", b";", b"\n", b" ")), random.choice((b";", b",", b"\t", b"\r\n", b"")))


DAMAGES: tuple[Damage, ...] = (
    *(_cut, _lose, _double, _flip, _flip, _insert, _insert, _lines, _splice, _separators),
    *(_replace(_NUMBER), _replace(_NUMBER), _replace(_FIELD), _replace(_FIELD)),
)
