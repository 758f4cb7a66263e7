"""How long a failed try waits."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TypeGuard

BASE_SECONDS = 2.0
CAP_SECONDS = 600.0
LONGEST_SECONDS = 366 * 86_400.0
"""No wait is longer: what is asked for beyond a year is a mistake in the unit."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: called with the tries so far, it returns seconds.

    Full jitter (anywhere between nothing and the bound) keeps messages that failed together, as
    when a service behind them was down, from coming back together. Raises ValueError for bounds
    that are no positive numbers of seconds.
    """

    base: float = BASE_SECONDS
    """The bound before any failure; it doubles with each."""
    cap: float = CAP_SECONDS
    """The bound stays here."""

    def __post_init__(self) -> None:
        if not (0 < self.base <= self.cap <= LONGEST_SECONDS):
            raise ValueError(
                f"Backoff(base={self.base!r}, cap={self.cap!r}): seconds, 0 < base <= cap <= "
                f"{LONGEST_SECONDS:.0f}."
            )

    def __call__(self, attempts: int) -> float:
        bound = min(self.cap, self.base * 2.0 ** min(attempts, 30))
        return random.uniform(0.0, bound)  # noqa: S311 - spreads load, guards nothing


DEFAULT = Backoff()


def delay_seconds(attempts: int) -> float:
    """The default wait, in seconds, for a message that has failed so often."""
    return DEFAULT(attempts)


def is_wait(seconds: object) -> TypeGuard[float]:
    """Whether this is a number of seconds that one can wait: 0 up to a year."""
    return (
        isinstance(seconds, int | float)
        and not isinstance(seconds, bool)
        and math.isfinite(seconds)
        and 0 <= seconds <= LONGEST_SECONDS
    )
