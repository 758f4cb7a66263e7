"""Dear looks are seldom, cheap ones are not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from outbox import allowance
from outbox.allowance import LONGEST_WAIT_SECONDS, SAVED_SECONDS, SHARE, Allowance


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(allowance, "monotonic", clock)
    return clock


@pytest.fixture
def looks(clock: Clock) -> Callable[[float, float], list[float]]:
    """When looks were granted in a while, each costing so much; asked for every 10 ms."""

    def looks(seconds: float, cost: float) -> list[float]:
        own, end, granted = Allowance(), clock.now + seconds, []
        while clock.now < end:
            if own.granted():
                granted.append(clock.now)
                with own.spent():
                    clock.now += cost
            clock.now += 0.01
        return granted

    return looks


def test_what_is_cheap_is_granted_each_time(looks: Callable[..., list[float]]) -> None:
    cost = SHARE * 0.009
    assert len(looks(10, cost)) == pytest.approx(10 / (0.01 + cost), abs=2)


def test_what_is_dear_takes_its_share_of_the_time_in_the_long_run(
    looks: Callable[..., list[float]],
) -> None:
    cost = SHARE * LONGEST_WAIT_SECONDS / 2
    spent = cost * len(looks(1000, cost))
    assert spent == pytest.approx(SHARE * 1000 + SAVED_SECONDS, rel=0.05)


def test_nothing_waits_longer_than_it_says(looks: Callable[..., list[float]]) -> None:
    granted = looks(100, 2.0)
    gaps = [after - before - 2.0 for before, after in pairwise(granted)]
    assert max(gaps) <= LONGEST_WAIT_SECONDS + 0.02
    assert min(gaps) >= LONGEST_WAIT_SECONDS / 2, "it is as seldom as may be"


def test_after_a_while_without_some_may_follow_each_other(clock: Clock) -> None:
    own = Allowance()
    with own.spent():
        clock.now += 2 * SAVED_SECONDS
    assert not own.granted()
    clock.now += 1000
    for _ in range(10):
        assert own.granted()
        with own.spent():
            clock.now += SAVED_SECONDS / 11


def test_what_failed_has_cost_as_much(clock: Clock) -> None:
    own = Allowance()

    def fail() -> None:
        clock.now += 2 * SAVED_SECONDS
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"), own.spent():
        fail()
    assert not own.granted()
