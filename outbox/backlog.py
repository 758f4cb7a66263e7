"""Reads of the whole: what is due, what is in flight, how much waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outbox import read_statements
from outbox.database import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

SMALL_PAGES = 1000
ROWS_PER_PAGE = 50


def any_due_pending() -> tuple[bool, bool]:
    """Whether messages that are owed preparation are due: fresh ones, suspect ones."""
    fresh, suspect = run(read_statements.ANY_DUE_PENDING)[0]
    return fresh, suspect


def any_due_to_send() -> tuple[bool, bool, bool]:
    """Whether messages for the broker are due: ready ones, overdue ones, suspect ones."""
    ready, overdue, suspect, _ = due_to_send(float("-inf"))
    return ready, overdue, suspect


def due_to_send(since: float, *, ready: bool = False) -> tuple[bool, bool, bool, float]:
    """The same, and when it was so.

    Ready ones are not looked for where they are known to be. The others need not be looked for
    before `since`, the time of a look that found none: seconds since 1970, by the database's clock.
    """
    [(*found, at)] = run(read_statements.ANY_DUE_TO_SEND, since=since, ready=ready)
    return (*found, at)


def in_flight() -> dict[str, int]:
    """Dispatched messages by queue."""
    return in_flight_with_times()[0]


def in_flight_with_times() -> tuple[dict[str, int], dict[str, float], float]:
    """The same, when the first of each queue is due again, and when that was so.

    Times are in seconds since 1970, by the database's clock.
    """
    *found, (_, _, at) = run(read_statements.IN_FLIGHT)
    return {row[0]: row[1] for row in found}, {row[0]: row[2] for row in found}, at


def in_flight_since(marks: Mapping[str, float]) -> dict[str, int]:
    """Dispatched messages that are due at or after the mark of their queue."""
    scope = {"queues": list(marks), "marks": list(marks.values())}
    return dict(run(read_statements.IN_FLIGHT_SINCE, **scope))


def ready_queues(since: float = float("-inf")) -> dict[str, float]:
    """The queues that ready messages are for, and when that was so.

    Not those of messages that were all due before `since`, the time of a look that found them.
    """
    return dict(run(read_statements.READY_QUEUES, since=since))


def unfinished_pending() -> int:
    """Messages that the post-processor has to do now, or is doing."""
    return int(run(read_statements.UNFINISHED_PENDING)[0][0])


def unfinished_to_send() -> int:
    """Messages that the relay has to do now, or is doing."""
    return int(run(read_statements.UNFINISHED_TO_SEND)[0][0])


def counts() -> dict[str, tuple[int, float]]:
    """By live state that has messages: how many, and the age in seconds of the oldest."""
    return {state: (number, age) for state, number, age in run(read_statements.COUNTS)}


def done_count(*, exact: bool) -> int:
    """How many messages are in the history.

    Unless `exact`, a partition of over 1,000 pages counts by the planner's statistics: as they
    were at its last ANALYZE, and at a guess before the first.
    """
    if exact:
        return int(run(read_statements.DONE_EXACT)[0][0])
    return sum(_rows(*partition) for partition in run(read_statements.DONE_PARTITIONS))


def _rows(partition: str, estimate: int, pages: int) -> int:
    if pages <= SMALL_PAGES:
        return int(run(f"SELECT count(*) FROM {partition}")[0][0])  # noqa: S608 - quoted above
    # One that was never analysed says -1: it counts as what its pages may hold, at a guess.
    return estimate if estimate >= 0 else pages * ROWS_PER_PAGE


def dead_ids() -> list[UUID]:
    """The dead messages, the oldest first."""
    return [row[0] for row in run(read_statements.DEAD_IDS)]
