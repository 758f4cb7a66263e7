"""Many measured times, kept small: each to three digits, with how often it came."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DIGITS = 3
"""That mean something, and none beyond a microsecond."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Times in milliseconds and how many there were of each."""

    counts: Mapping[float, int]

    @classmethod
    def of_seconds(cls, seconds: Iterable[float]) -> Samples:
        """From raw times in seconds."""
        return cls(dict(Counter(sorted(_rounded(1e3 * each) for each in seconds))))

    @property
    def number(self) -> int:
        return sum(self.counts.values())

    def percentile(self, share: float) -> float:
        """The least time that at least this share of all does not exceed, in milliseconds.

        Raises ValueError when there are no samples.
        """
        if not self.counts:
            raise ValueError("no samples, no percentile")
        # 0.07 * 100 is a little over 7: what is not a whole sample beyond it is no sample.
        wanted = max(1, math.ceil(share * self.number - 1e-9))
        passed = 0
        for each, number in sorted(self.counts.items()):
            passed += number
            if passed >= wanted:
                return each
        raise AssertionError("the last sample is the 100th percentile")


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}") if value >= 1 else round(value, DIGITS)
