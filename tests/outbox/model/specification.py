"""What the store promises, in plain values: no database, and none of the product's code.

Each verb is a guard, who may do it to a row, and an effect, the row after it. Times are whole
seconds of a clock that stands still between two steps. `at` is the moment that a statement takes
for the present: in a transaction that is its start, except for a worker's, who may run for long.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from uuid import UUID

PENDING, READY, DISPATCHED, DEAD = "pending", "ready", "dispatched", "dead"
FINISHABLE = {READY, DISPATCHED}

LEASE, REDISPATCH, HOUR = 60, 300, 3600
LONGEST_WAIT = HOUR
"""No message that is owed work waits for longer: of the machine's own delays none is."""
HISTORY_DAYS = 14


@dataclass(frozen=True, slots=True)
class Kind:
    """Which post-processor prepares a message, and which relay sends it where."""

    event_type: str
    task: str
    queue: str


@dataclass(frozen=True, slots=True)
class Row:
    """A message in the live table: it is owed work, or dead."""

    kind: Kind
    state: str
    due: int
    attempts: int = 0
    sends: int = 0
    lease: UUID | None = None
    suspect: bool = False
    ready_at: int | None = None
    dispatched_at: int | None = None
    started_at: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """A message in the history. Nothing is owed on it, and nothing changes it."""

    kind: Kind
    attempts: int
    sends: int
    ready_at: int
    dispatched_at: int
    done_at: int


@dataclass(frozen=True, slots=True)
class Scope:
    """What a claimant works on: the post-processor goes by type, the relay by queue and task."""

    event_types: frozenset[str]
    queues: frozenset[str]
    tasks: frozenset[str]


@dataclass(frozen=True, slots=True)
class Try:
    """What a worker has in hand, as it saw the row when it took it or began."""

    id: UUID
    attempts: int
    sends: int
    lease: UUID | None
    counted: bool
    """Whether this try is in the row's attempts: by the worker's own count, or by a claim's."""
    message: object = field(compare=False, repr=False, default=None)


# Claims: the states that each kind takes, and whether it takes suspects (alone) or all the others.
CLAIMS = {
    "pending": ({PENDING}, False),
    "pending suspect": ({PENDING}, True),
    "ready": ({READY}, False),
    "overdue": ({DISPATCHED}, False),
    "unsent suspect": ({READY, DISPATCHED}, True),
}


def claimable(row: Row, claim: str, scope: Scope, at: int) -> bool:
    """It is due, so that no lease runs, of the right state, and what this process works on."""
    states, suspects = CLAIMS[claim]
    if row.state not in states or row.suspect is not suspects or row.due > at:
        return False
    if row.state == PENDING:
        return row.kind.event_type in scope.event_types
    # A suspect that was sent is in the window already, whatever room its queue has left.
    room = row.kind.queue in scope.queues or (claim == "unsent suspect" and row.state == DISPATCHED)
    return room and row.kind.task in scope.tasks


def claim(row: Row, token: UUID, at: int) -> Row:
    sends = row.sends + (row.state != PENDING)
    counted = replace(row, attempts=row.attempts + 1, sends=sends)
    return replace(counted, lease=token, suspect=True, started_at=None, due=at + LEASE)


def is_holder(row: Row, token: UUID | None, *states: str) -> bool:
    """The claim is the last one, nothing has ended it, and no worker has taken the row over."""
    holds = token is not None and row.lease == token and row.started_at is None
    return holds and row.state in states


def mark_ready(row: Row, at: int, now: int) -> Row:
    return Row(row.kind, READY, due=at, ready_at=now)


def mark_dispatched(row: Row, at: int) -> Row:
    first = at if row.dispatched_at is None else row.dispatched_at
    due = at + min(HOUR, max(REDISPATCH, at - first))
    sent = replace(row, state=DISPATCHED, dispatched_at=first, attempts=row.attempts - 1, due=due)
    return replace(sent, lease=None, suspect=False)


def release(row: Row, at: int, delay: int, *, suspect: bool, unsent: bool) -> Row:
    refunded = replace(row, attempts=row.attempts - 1, sends=row.sends - unsent)
    return replace(refunded, lease=None, suspect=suspect, due=at + delay)


def fail(row: Row, at: int, delay: int, limit: int, error: str) -> Row:
    dead = row.attempts >= limit
    state = DEAD if dead else READY if row.state == DISPATCHED else row.state
    failed = replace(row, state=state, error=error, due=at + delay)
    return replace(failed, lease=None, suspect=not dead)


# The worker's side. It holds the row's lock, or for a body without a transaction a lease.


def is_stale(row: Row, now: int) -> bool:
    """A retry waits for its time: what the worker has is an old copy."""
    return row.state == READY and row.lease is None and row.due > now


def is_running(row: Row, now: int) -> bool:
    """Another worker runs it without a transaction."""
    return row.started_at is not None and row.due > now


def is_wordless(row: Row) -> bool:
    """A try was begun and counted, and nobody wrote what became of it."""
    counted = row.attempts > 0 and row.lease is None
    return row.state == DISPATCHED and row.suspect and counted


def may_finish(row: Row, token: UUID | None) -> bool:
    return row.state in FINISHABLE and (token is None or row.lease == token)


def begin_try(row: Row, token: UUID | None, now: int, seconds: int) -> Row:
    """The relay's claim, while it lasts, has counted this try; a dead worker's is another one."""
    counted_by_claim = row.lease is not None and row.started_at is None
    begun = replace(row, attempts=row.attempts + (not counted_by_claim), lease=token, suspect=True)
    first = now if row.dispatched_at is None else row.dispatched_at
    begun = replace(begun, state=DISPATCHED, dispatched_at=first, due=now + seconds)
    return replace(begun, started_at=None if token is None else now)


def fail_try(row: Row, now: int, delay: int, limit: int, error: str, *, counted: bool) -> Row:
    attempts = row.attempts + (not counted and row.lease is None)
    return _put_off(row, attempts, now + delay, error, dead=attempts >= limit)


def complete(row: Row, now: int, taken_at: int, *, counted: bool) -> Done:
    """The history has the tries that failed: the one that ended well is taken off.

    A requeue meanwhile has taken off all of them.
    """
    failed = max(0, row.attempts - (counted or row.lease is not None))
    first = taken_at if row.dispatched_at is None else row.dispatched_at
    assert row.ready_at is not None
    return Done(row.kind, failed, row.sends, row.ready_at, first, done_at=now)


def is_as_left(row: Row, lost: Try) -> bool:
    """Nobody has taken the message since the try was lost, and it did not end after all."""
    same = (row.attempts, row.sends, row.lease) == (lost.attempts, lost.sends, lost.lease)
    left = row.suspect if lost.counted else row.state == DISPATCHED
    return same and left and row.state in FINISHABLE


def give_back(row: Row, lost: Try, now: int, delay: int, limit: int, error: str) -> Row:
    """Nobody's fault the first time; the second in a row counts as a failure."""
    if row.error.startswith("lost its database"):
        attempts = row.attempts + (not lost.counted)
        return _put_off(row, attempts, now + delay, error, dead=attempts >= limit)
    return _put_off(row, row.attempts - lost.counted, now + delay, error, dead=False)


def _put_off(row: Row, attempts: int, due: int, error: str, *, dead: bool) -> Row:
    waiting = replace(row, state=DEAD if dead else READY, attempts=attempts, due=due, error=error)
    return replace(waiting, lease=None, suspect=False, started_at=None, dispatched_at=None)


def requeue(row: Row, at: int) -> Row:
    state = PENDING if row.ready_at is None else READY
    return replace(row, state=state, attempts=0, sends=0, due=at, dispatched_at=None)
