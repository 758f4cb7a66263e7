"""Batches grow while there is a backlog and they are quick, and are small otherwise."""

from __future__ import annotations

import pytest

from relay import batch_size
from relay.batch_size import FIRST, QUICK_SECONDS, BatchSize


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(batch_size, "monotonic", clock)
    return clock


def grown(sizes: BatchSize, clock: Clock, times: int) -> list[int]:
    found = [sizes.next(full=False)]
    for _ in range(times):
        clock.now += QUICK_SECONDS / 2
        found.append(sizes.next(full=True))
    return found


def test_full_and_quick_batches_grow_up_to_the_most(clock: Clock) -> None:
    sizes = BatchSize(1000)
    assert grown(sizes, clock, 4) == [FIRST, 2 * FIRST, 4 * FIRST, 1000, 1000]


def test_one_that_is_not_full_is_followed_by_a_small_one(clock: Clock) -> None:
    sizes = BatchSize(1000)
    grown(sizes, clock, 4)
    assert sizes.next(full=False) == FIRST


def test_slow_ones_shrink_to_the_first_size(clock: Clock) -> None:
    sizes = BatchSize(1000)
    grown(sizes, clock, 4)
    found = []
    for _ in range(4):
        clock.now += 3 * QUICK_SECONDS
        found.append(sizes.next(full=True))
    assert found == [500, 250, FIRST, FIRST]


def test_one_that_is_neither_quick_nor_slow_is_as_large_as_the_last(clock: Clock) -> None:
    sizes = BatchSize(1000)
    grown(sizes, clock, 1)
    clock.now += 1.5 * QUICK_SECONDS
    assert sizes.next(full=True) == 2 * FIRST


def test_none_is_larger_than_was_asked_for(clock: Clock) -> None:
    assert grown(BatchSize(3), clock, 2) == [3, 3, 3]
