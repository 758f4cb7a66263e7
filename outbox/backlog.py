"""Reads of the whole: what is due, what is in flight, how much waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outbox import read_statements
from outbox.store import run

if TYPE_CHECKING:
    from uuid import UUID


def any_due_pending() -> tuple[bool, bool]:
    """Whether messages that are owed preparation are due: fresh ones, suspect ones."""
    fresh, suspect = run(read_statements.ANY_DUE_PENDING)[0]
    return fresh, suspect


def any_due_to_send() -> tuple[bool, bool, bool]:
    """Whether messages for the broker are due: ready ones, overdue ones, suspect ones."""
    ready, overdue, suspect = run(read_statements.ANY_DUE_TO_SEND)[0]
    return ready, overdue, suspect


def in_flight() -> dict[str, int]:
    """Dispatched messages by queue."""
    return {row[0]: row[1] for row in run(read_statements.IN_FLIGHT)}


def ready_queues() -> set[str]:
    """The queues that ready messages are for."""
    return {row[0] for row in run(read_statements.READY_QUEUES)}


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
    """How many messages are in the history: an estimate by the planner's statistics, or a count."""
    return int(run(read_statements.DONE_EXACT if exact else read_statements.DONE_ESTIMATE)[0][0])


def dead_ids() -> list[UUID]:
    """The dead messages, the oldest first."""
    return [row[0] for row in run(read_statements.DEAD_IDS)]
