"""Ways to tell a slot's need from its samples, checked against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consolidate.demand.predictors import PREDICTORS, Samples, predict, weights
from consolidate.demand.rates import Amounts
from consolidate.model.policy import Predictor
from consolidate.units import slot_of_week

MONDAY_S = 1_780_272_000
DAY_S = 86400


def samples(
    *values: list[float], slots: int = 1, limit: float = np.inf, quantile: float = 0.9, half_life: float | None = None
) -> Samples:
    """Hourly samples of each workload from Monday on."""
    owner = np.repeat(np.arange(len(values)), [len(one) for one in values])
    at_s = np.concatenate([MONDAY_S + 3600 * np.arange(len(one)) for one in values])
    amounts = Amounts(owner, at_s, np.concatenate([np.array(one, dtype=float) for one in values]))
    width, limits = np.full(len(values), slots), np.full(len(values), limit)
    return Samples(amounts, width, limits, quantile, 2.0, weights(amounts, half_life))


def test_n_sigma_is_the_mean_and_its_deviations_by_slot_and_never_above_the_limit() -> None:
    two_days = [1.0] * 24 + [3.0] * 24
    assert PREDICTORS[Predictor.SIGMA](samples(two_days, slots=24))[0, :24].tolist() == [2 + 2 * 1.0] * 24
    assert PREDICTORS[Predictor.SIGMA](samples(two_days, slots=24, limit=3.5))[0, 0] == 3.5
    assert np.isnan(PREDICTORS[Predictor.SIGMA](samples(two_days, slots=24))[0, 24:]).all()


def test_an_hour_never_seen_takes_what_all_samples_say() -> None:
    few = samples([1.0, 3.0], slots=24, quantile=1.0)
    assert PREDICTORS[Predictor.SIGMA](few)[0, :3].tolist() == [1.0, 3.0, 2 + 2 * 1.0]
    assert PREDICTORS[Predictor.QUANTILE](few)[0, :3].tolist() == [1.0, 3.0, 3.0]
    assert PREDICTORS[Predictor.BODY_AND_TAIL](few)[0, 2] == 3.0


def test_rc_like_looks_at_no_hours_and_stops_at_the_limit() -> None:
    day = [float(hour) for hour in range(24)]
    assert PREDICTORS[Predictor.LIMIT_QUANTILE](samples(day, slots=24))[0, :24].tolist() == [21.0] * 24
    assert PREDICTORS[Predictor.LIMIT_QUANTILE](samples(day, slots=24, limit=5.0))[0, :24].tolist() == [5.0] * 24


def test_bodies_everywhere_and_tails_where_they_were() -> None:
    ten_days = ([2.0] * 23 + [9.0]) * 10
    profile = PREDICTORS[Predictor.BODY_AND_TAIL](samples(ten_days, slots=24))[0, :24]
    assert profile.tolist() == [2.0] * 23 + [9.0]


def test_two_that_peak_apart_share_a_tail_and_two_that_peak_together_do_not() -> None:
    early, late = ([9.0] + [1.0] * 23) * 10, ([1.0] * 12 + [9.0] + [1.0] * 11) * 10
    tails = PREDICTORS[Predictor.BODY_AND_TAIL]
    assert tails(samples(early, late, slots=24))[:, :24].sum(axis=0).max() == 10
    assert tails(samples(early, early, slots=24))[:, :24].sum(axis=0).max() == 18


def test_of_several_predictors_the_one_that_asks_for_most_counts() -> None:
    case = samples([1.0] * 24 + [3.0] * 24, slots=24, quantile=0.5)
    each = [PREDICTORS[one](case) for one in Predictor]
    assert predict(case, tuple(Predictor))[0, :24].tolist() == np.max(each, axis=0)[0, :24].tolist()


@given(st.lists(st.floats(0, 100), min_size=1, max_size=80), st.floats(0.01, 1.0), st.sampled_from(list(Predictor)))
def test_no_prediction_but_the_mean_and_more_leaves_what_was_measured(values, quantile, one) -> None:
    profile = PREDICTORS[one](samples(values, slots=24, quantile=quantile))[0, :24]
    assert not np.isnan(profile).any()
    if one is not Predictor.SIGMA:
        assert set(profile) <= set(values)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.floats(0.01, 1.0))
def test_weights_that_are_alike_change_nothing(values, quantile) -> None:
    plain = samples(values, slots=24, quantile=quantile)
    alike = Samples(plain.amounts, plain.slots, plain.limit, quantile, 2.0, np.ones(len(values)))
    weighed, unweighed = PREDICTORS[Predictor.QUANTILE](alike)[0, :24], PREDICTORS[Predictor.QUANTILE](plain)[0, :24]
    # Where a rank falls on a whole number, the sum of weights may round to either side of it.
    count = np.bincount(slot_of_week(plain.amounts.at_s) % 24, minlength=24)
    whole = np.isclose(quantile * count, np.round(quantile * count))
    overall = np.isclose(quantile * len(values), round(quantile * len(values)))
    exact = np.where(count > 0, ~whole, not overall)
    assert weighed[exact].tolist() == unweighed[exact].tolist()


def test_old_samples_count_less_but_the_highest_stays_the_highest() -> None:
    grown = [1.0] * 24 * 20 + [5.0] * 24 * 2
    assert PREDICTORS[Predictor.QUANTILE](samples(grown))[0, 0] == 1.0
    assert PREDICTORS[Predictor.QUANTILE](samples(grown, half_life=2.0))[0, 0] == 5.0
    shrunk = [9.0] + [1.0] * 24 * 30
    assert PREDICTORS[Predictor.QUANTILE](samples(shrunk, quantile=1.0, half_life=1.0))[0, 0] == 9.0


def test_a_sample_counts_half_at_its_half_life() -> None:
    amounts = Amounts(np.zeros(3, np.int64), MONDAY_S + DAY_S * np.array([0, 7, 14]), np.ones(3))
    assert weights(amounts, 7.0).tolist() == pytest.approx([0.25, 0.5, 1.0])
    assert len(weights(amounts, None)) == 0


def test_a_workload_without_samples_has_no_prediction() -> None:
    case = samples([1.0, 2.0], [])
    for one in Predictor:
        assert np.isnan(PREDICTORS[one](case)[1]).all()
