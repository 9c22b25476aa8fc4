"""Ways to tell from samples what a slot will need; a policy names one, or several of which the highest counts.

- ``quantile``: of the slot's samples, by nearest rank.
- ``n-sigma``: their mean and so many standard deviations, at most the limit (Bashir et al., EuroSys 2021, there for
  whole machines).
- ``rc-like``: the quantile of all samples, at most the limit; added up over a host it is the predictor of the same
  paper that follows Resource Central (Cortez et al., SOSP 2017).
- ``body-and-tail``: the body is what is enough in nine tenths of the time, the tail the highest ever. Workloads that
  leave their bodies in the same hours meet there with their tails, and only with their bodies elsewhere: the
  peak-clustering placement of Verma et al. (USENIX ATC 2009), with hours for clusters.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consolidate.demand.kernels import WIDTH
from consolidate.demand.profile import quantile_profiles
from consolidate.demand.rates import Amounts
from consolidate.model.policy import Predictor
from consolidate.units import slot_of_week

BODY_QUANTILE = 0.9
"""Of all samples: the body of Verma et al."""


@dataclass(frozen=True, eq=False)
class Samples:
    """One dimension of every workload, and how it is to be read."""

    amounts: Amounts
    """At local times."""
    slots: NDArray[np.int64]
    """Of each workload's profile, shape (workloads,)."""
    limit: NDArray[np.float64]
    """Of each workload, infinite where none is known; shape (workloads,)."""
    quantile: float
    sigmas: float
    weight: NDArray[np.float64]
    """What each sample counts, shape (samples,); empty where all count alike."""

    @property
    def slot(self) -> NDArray[np.int64]:
        """Slot of each sample in its own workload's profile, shape (samples,)."""
        return np.asarray(slot_of_week(self.amounts.at_s) % self.slots[self.amounts.workload])


def predict(samples: Samples, predictors: tuple[Predictor, ...]) -> NDArray[np.float64]:
    """Largest of the predictions, shape (workloads, 168): beyond a workload's slots, and without samples, NaN."""
    return functools.reduce(np.fmax, [PREDICTORS[one](samples) for one in predictors])


def quantile(samples: Samples) -> NDArray[np.float64]:
    """The quantile of each slot."""
    return quantile_profiles(samples.amounts, samples.slots, samples.quantile, samples.weight)


def sigma(samples: Samples) -> NDArray[np.float64]:
    """Mean and so many standard deviations of each slot, at most the limit; of all samples where the slot has none."""
    mean, deviation = moments(samples, samples.slot, WIDTH)
    all_mean, all_deviation = moments(samples, np.zeros_like(samples.slot), 1)
    predicted = np.where(np.isnan(mean), all_mean + samples.sigmas * all_deviation, mean + samples.sigmas * deviation)
    return _within_slots(np.minimum(predicted, samples.limit[:, None]), samples.slots)


def limit_quantile(samples: Samples) -> NDArray[np.float64]:
    """The quantile of all samples, at most the limit."""
    return _within_slots(np.minimum(overall(samples, samples.quantile), samples.limit[:, None]), samples.slots)


def body_and_tail(samples: Samples) -> NDArray[np.float64]:
    """The highest sample in slots in which any was above the body, and the body in the others."""
    body, tail = overall(samples, BODY_QUANTILE), overall(samples, 1.0)
    above = samples.amounts.value > body[samples.amounts.workload, 0]
    cell = samples.amounts.workload * WIDTH + samples.slot
    left = np.bincount(cell[above], minlength=len(samples.slots) * WIDTH).reshape(-1, WIDTH) > 0
    return _within_slots(np.where(left, tail, body), samples.slots)


PREDICTORS: Mapping[Predictor, Callable[[Samples], NDArray[np.float64]]] = {
    Predictor.QUANTILE: quantile,
    Predictor.SIGMA: sigma,
    Predictor.LIMIT_QUANTILE: limit_quantile,
    Predictor.BODY_AND_TAIL: body_and_tail,
}


def weights(amounts: Amounts, half_life_days: float | None) -> NDArray[np.float64]:
    """What each sample counts: half as much for every half-life before the newest; empty where all count alike."""
    if half_life_days is None or not len(amounts.at_s):
        return np.empty(0)
    age_days = (amounts.at_s.max() - amounts.at_s) / 86400
    return np.asarray(np.exp2(-age_days / half_life_days), dtype=np.float64)


def overall(samples: Samples, of: float) -> NDArray[np.float64]:
    """Quantile of all of each workload's samples, shape (workloads, 1)."""
    return quantile_profiles(samples.amounts, np.ones_like(samples.slots), of, samples.weight)[:, :1]


def moments(samples: Samples, slot: NDArray[np.int64], width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation by workload and slot, shape (workloads, width); NaN where there is no sample."""
    cell, cells = samples.amounts.workload * width + slot, len(samples.slots) * width
    weight = samples.weight if len(samples.weight) else np.ones(len(cell))
    total = np.bincount(cell, weights=weight, minlength=cells).astype(np.float64)
    total[total == 0] = np.nan
    mean = np.bincount(cell, weights=weight * samples.amounts.value, minlength=cells) / total
    square = np.bincount(cell, weights=weight * (samples.amounts.value - mean[cell]) ** 2, minlength=cells) / total
    return mean.reshape(-1, width), np.sqrt(square).reshape(-1, width)


def _within_slots(profiles: NDArray[np.float64], slots: NDArray[np.int64]) -> NDArray[np.float64]:
    """NaN beyond each workload's own slots, shape (workloads, 168)."""
    return np.asarray(np.where(np.arange(WIDTH) < slots[:, None], profiles, np.nan))
