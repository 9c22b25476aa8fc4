"""How fast a CPU is beside others: a shipped table, and what the fleet file says instead.

A rating is the speed of one CPU as its operating system counts them (a hardware thread, where there are several to a
core), in those of the reference. The table (`cpu_ratings.csv`) is derived from published results of SPECpower_ssj2008
(https://www.spec.org/power_ssj2008/results/): for each pattern the median, over all results whose CPU it matches, of
the operations per second at full load divided by the threads. That is the throughput of server-side Java, with both
threads of a core at work, so it is right for what shares a machine and not for a single fast thread. No rating is
made up from clock rates: between generations they mislead by more than a factor of two.
"""

from __future__ import annotations

import csv
import fnmatch
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources

from consolidate.model.fleet import Host

REFERENCE = "Intel Xeon Platinum 8180"
"""One of its threads is rated 1."""
STATED = "the fleet file"
_NOISE = re.compile(
    r"\((?:r|tm)\)|@.*|,|\b(?:intel|amd|cpu|processor|\d+-core|\d+(?:\.\d+)?\s*ghz)\b",
)


@dataclass(frozen=True)
class Rating:
    """A CPU's speed and who says so."""

    rating: float
    origin: str
    """Empty where nobody does, and 1 is assumed."""


NOT_RATED = Rating(1.0, "")


def plain_model(model: str) -> str:
    """A CPU model without makers, marks and clock rates.

    ``Intel(R) Xeon(R) CPU E5-2660 0 @ 2.20GHz`` is ``xeon e5-2660``.
    """
    words = _NOISE.sub(" ", model.lower()).split()
    return " ".join(words[:-1] if words[-1:] == ["0"] else words)


def rating_of(model: str, stated: Mapping[str, float]) -> Rating:
    """Rating of a CPU model as the kernel or a hypervisor names it.

    Args:
        model: Its name; empty where nobody told it.
        stated: Ratings by pattern, which go before the table; the first that matches counts.

    """
    if not model:
        return NOT_RATED
    plain = plain_model(model)
    for pattern, rating in stated.items():
        if fnmatch.fnmatchcase(model.lower(), pattern.lower()) or fnmatch.fnmatchcase(plain, plain_model(pattern)):
            return Rating(rating, STATED)
    return next((rating for pattern, rating in _table() if fnmatch.fnmatchcase(plain, pattern)), NOT_RATED)


def rated(host: Host, model: str, stated: Mapping[str, float]) -> Host:
    """A host with its CPU's model and rating."""
    found = rating_of(model, stated)
    return replace(host, cpu_model=model, cpu_rating=found.rating, rated_by=found.origin)


@functools.cache
def _table() -> tuple[tuple[str, Rating], ...]:
    """Patterns of plain models and their ratings, the more particular ones first."""
    text = (resources.files("consolidate.config") / "cpu_ratings.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple((row["pattern"], Rating(float(row["rating"]), row["source"])) for row in rows)
