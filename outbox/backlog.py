"""Reads of the whole: what is due, what is in flight, how much waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg2

from outbox import read_statements, registry
from outbox.store import run

if TYPE_CHECKING:
    from uuid import UUID

    from outbox.side_connection import SideConnection

SMALL_PAGES = 1000
ROWS_PER_PAGE = 50
ANSWER_SECONDS = 2.0

# For this transaction alone: behind a pooler the session is others' too.
_BRIEFLY = "SET LOCAL statement_timeout TO '1s'; SET LOCAL lock_timeout TO '500ms';"


class ReadOnlyServer(psycopg2.OperationalError):  # type: ignore[misc]  # untyped
    """The server has become one that messages can only be read from."""


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


def waiting(connection: SideConnection, limit: int) -> tuple[int, float]:
    """How many messages wait to be prepared or sent, up to `limit`, and the lateness in seconds.

    It is that of the oldest due message that waits for its first preparation; 0.0 if none does,
    or only behind a thousand of types that are not prepared here.
    Raises psycopg2's errors, the server's after a second and within two in any case, and
    `ReadOnlyServer`.
    """
    [(number, late, read_only)] = connection.run(
        _BRIEFLY + read_statements.WAITING,
        {"limit": limit, "event_types": registry.prepared_event_types()},
        seconds=ANSWER_SECONDS,
    )
    if read_only:
        connection.close()  # by a new one, the server that takes writes may be found
        raise ReadOnlyServer("the server takes no writes")
    return number, late or 0.0


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
