"""What several values say together: their middle, and how far they lie apart."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, median, stdev

RESAMPLES = 2_000
SEED = 6
"""The same values give the same interval whenever it is computed."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, the least and the most, and the 95 % interval of the median."""

    median: float
    least: float
    most: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value. Raises ValueError of none."""
    if not values:
        raise ValueError("no values, no spread")
    low, high = interval(tuple(values))
    return Spread(median(values), min(values), max(values), low, high)


@cache  # each figure is shown in several places
def interval(values: tuple[float, ...]) -> tuple[float, float]:
    """The 95 % bootstrap interval of the median."""
    chance = random.Random(SEED)  # noqa: S311 - statistics, no secret
    medians = sorted(median(chance.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return medians[round(0.025 * (RESAMPLES - 1))], medians[round(0.975 * (RESAMPLES - 1))]


def variation(values: Sequence[float]) -> float:
    """The coefficient of variation: standard deviation over mean; 0 of fewer than two values."""
    return stdev(values) / fmean(values) if len(values) > 1 else 0.0
