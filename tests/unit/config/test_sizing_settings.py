"""Sizing settings of the fleet file, in the units people write."""

from __future__ import annotations

import pytest

from consolidate.config import read_inputs
from consolidate.config.hours import parse_hours, parse_zone
from consolidate.errors import InputError
from consolidate.model.policy import Predictor, SizingPolicy

HOST = "hosts: [{name: h, cpu: 4, memory: 8GiB, os: debian}]\n"


def sizing(settings: str) -> SizingPolicy:
    return read_inputs(f"{HOST}policy: {settings}\n", "fleet.yaml").policy.sizing


def test_every_setting_reaches_the_policy() -> None:
    policy = sizing(
        "{predictors: [n-sigma, rc-like, n-sigma], sigmas: 2, half_life: 36h, found_periods: true, "
        "memory_time_aligned: true, "
        "skip_quiet_days: true, time_zone: Europe/Berlin, busy_hours: 'Mon-Fri 08:00-18:00', off_hours: 25%}"
    )
    assert policy.predictors == (Predictor.SIGMA, Predictor.LIMIT_QUANTILE)
    assert (policy.sigmas, policy.half_life_days) == (2, 1.5)
    assert (policy.found_periods, policy.skip_quiet_days, policy.time_zone) == (True, True, "Europe/Berlin")
    assert policy.memory_time_aligned
    assert len(policy.counted_permille) == 168
    assert [policy.counted_permille[hour] for hour in (7, 8, 17, 18, 5 * 24 + 12)] == [250, 1000, 1000, 250, 250]


def test_by_default_everything_counts_and_nothing_is_weighed() -> None:
    assert sizing("{}") == SizingPolicy()
    assert sizing("{busy_hours: 'Mon-Sun 00:00-24:00'}").counted_permille == (1000,) * 168


def test_several_spans_are_joined() -> None:
    assert parse_hours("Sat 10:00-12:00, Mon-Tue 00:00-01:00") == {0, 24, 130, 131}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("9-17", "'9-17' are no hours of the week"),
        ("Mon-Fri 08:30-18:00", "are no hours of the week"),
        ("Mon-Fre 08:00-18:00", "are no hours of the week"),
        ("Fri-Mon 08:00-18:00", "ends before it begins"),
        ("Mon 18:00-08:00", "ends before it begins"),
        ("Mon 08:00-25:00", "ends before it begins"),
    ],
)
def test_what_are_no_hours_is_refused_with_an_example(text: str, fault: str) -> None:
    with pytest.raises(InputError, match=fault) as caught:
        parse_hours(text)
    assert "write for example Mon-Fri 08:00-18:00" in str(caught.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "europe"])
def test_no_such_zone_is_a_sentence(zone: str) -> None:
    with pytest.raises(InputError, match="is no time zone; write for example Europe/Berlin"):
        parse_zone(zone)


@pytest.mark.parametrize(
    "settings", ["{predictors: []}", "{predictors: [oracle]}", "{half_life: 0}", "{sigmas: -1}", "{time_zone: Mars}"]
)
def test_a_mistake_names_its_key(settings: str) -> None:
    with pytest.raises(InputError, match=settings.strip("{").partition(":")[0]):
        sizing(settings)
