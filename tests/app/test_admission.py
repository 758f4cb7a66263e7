"""When the door is closed, and what closes and opens it."""

from __future__ import annotations

import pytest

from app.admission import STALE_SECONDS, Admission, Closed, Limits, Sample

LIMITS = Limits(backlog=100, late=60.0)


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(clock: Clock) -> Admission:
    return Admission(LIMITS, clock)


def say(door: Admission, waiting: int, late: float = 0.0) -> Closed | None:
    door.sampled(Sample(waiting, late), door.mark())
    return door.closed()


def store(door: Admission, number: int = 1) -> None:
    for _ in range(number):
        with door.storing():
            door.stored()


def test_it_is_open_before_the_first_sample(door: Admission) -> None:
    assert door.closed() is None


@pytest.mark.parametrize(
    ("waiting", "late", "closed"),
    [
        (0, 0.0, None),
        (99, 59.9, None),
        (100, 0.0, Closed.BACKLOG),
        (0, 60.0, Closed.LATE),
        (100, 60.0, Closed.BACKLOG),
    ],
)
def test_it_closes_at_a_limit(
    door: Admission, waiting: int, late: float, closed: Closed | None
) -> None:
    assert say(door, waiting, late) is closed


def test_a_full_backlog_must_fall_to_four_fifths(door: Admission) -> None:
    assert say(door, 100) is Closed.BACKLOG
    assert say(door, 81) is Closed.BACKLOG
    assert say(door, 80) is None
    assert say(door, 99) is None


def test_a_late_one_must_fall_to_four_fifths(door: Admission) -> None:
    assert say(door, 0, 60.0) is Closed.LATE
    assert say(door, 0, 48.1) is Closed.LATE
    assert say(door, 0, 48.0) is None
    assert say(door, 0, 59.9) is None


def test_what_closed_it_may_change_and_neither_may_be_left(door: Admission) -> None:
    assert say(door, 100) is Closed.BACKLOG
    assert say(door, 80, 50.0) is Closed.LATE
    assert say(door, 81, 0.0) is Closed.BACKLOG
    assert say(door, 80, 48.0) is None


def test_what_is_stored_between_two_samples_counts_at_once(door: Admission) -> None:
    assert say(door, 95) is None
    store(door, 4)
    assert door.closed() is None
    store(door)
    assert door.closed() is Closed.BACKLOG


def test_what_is_being_stored_counts_and_no_longer_if_it_was_not_stored(door: Admission) -> None:
    say(door, 99)
    with door.storing():
        assert door.closed() is Closed.BACKLOG
    assert say(door, 80) is None
    store(door, 19)
    assert door.closed() is None


def test_a_duplicate_counts_only_as_long_as_it_is_looked_up(door: Admission) -> None:
    say(door, 98)
    for _ in range(5):
        with door.storing():
            assert door.closed() is None
    assert door.closed() is None


def test_a_closing_between_two_samples_is_undone_or_confirmed_by_the_next(door: Admission) -> None:
    say(door, 99)
    store(door)
    assert door.closed() is Closed.BACKLOG
    assert say(door, 90) is None
    store(door, 10)
    assert door.closed() is Closed.BACKLOG
    assert say(door, 100) is Closed.BACKLOG
    assert say(door, 90) is Closed.BACKLOG


def test_a_sample_takes_over_what_was_stored_before_it_and_nothing_later(door: Admission) -> None:
    say(door, 0)
    store(door, 90)
    mark = door.mark()
    store(door, 5)
    door.sampled(Sample(90, 0.0), mark)
    store(door, 4)
    assert door.closed() is None
    store(door)
    assert door.closed() is Closed.BACKLOG


def test_a_database_that_cannot_be_reached_closes_it_at_once_and_the_first_sample_opens_it(
    door: Admission,
) -> None:
    say(door, 10)
    door.lost()
    assert door.closed() is Closed.DATABASE
    assert say(door, 10) is None


def test_a_full_backlog_is_remembered_through_an_outage(door: Admission) -> None:
    assert say(door, 100) is Closed.BACKLOG
    door.lost()
    assert door.closed() is Closed.DATABASE
    assert say(door, 90) is Closed.BACKLOG


def test_an_old_sample_says_nothing(door: Admission, clock: Clock) -> None:
    say(door, 10)
    clock.now += STALE_SECONDS
    assert door.closed() is None
    clock.now += 0.1
    assert door.closed() is Closed.NO_SAMPLE
    assert say(door, 10) is None


def test_a_first_sample_that_does_not_come_closes_it_too(door: Admission, clock: Clock) -> None:
    clock.now += STALE_SECONDS + 0.1
    assert door.closed() is Closed.NO_SAMPLE
    door.lost()
    assert door.closed() is Closed.DATABASE
