"""How long a failed try waits."""

from __future__ import annotations

import random

import pytest

from outbox.backoff import CAP_SECONDS, delay_seconds


@pytest.mark.parametrize(
    ("attempts", "bound"),
    [(0, 2), (1, 4), (2, 8), (8, 512), (9, CAP_SECONDS), (10**6, CAP_SECONDS)],
)
def test_the_wait_is_anywhere_below_a_bound_that_doubles_up_to_the_cap(
    attempts: int, bound: float
) -> None:
    random.seed(1)
    delays = [delay_seconds(attempts) for _ in range(2000)]
    assert 0 <= min(delays) < bound / 20
    assert bound * 0.95 < max(delays) <= bound
