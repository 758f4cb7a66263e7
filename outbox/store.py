"""The only writer of outbox rows. Every verb is one guarded statement.

A claim and the writes that follow it are fenced by the lease token: whoever lost the row to a
newer claim changes nothing. A worker's claim is its row lock instead. Verbs on many rows return
the ids they won; verbs on one row raise `LeaseLost`.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction

from outbox import fence, notifier, statements, task_statements
from outbox.arrays import of_ids, of_texts
from outbox.conf import outbox_settings
from outbox.database import run, run_alone
from outbox.last_error import LOST_WORD, lost, storable
from outbox.message import Draft, Message, Taken
from outbox.states import State
from outbox.watermark import Watermark

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from outbox.registry import AllowedTasks
    from outbox.statements import Run

PENDING_CHANNEL = "outbox_pending"
READY_CHANNEL = "outbox_ready"
CHANNELS = {State.PENDING: PENDING_CHANNEL, State.READY: READY_CHANNEL}


def add(event_type: str, task: str, queue: str, payload: str, *, state: State) -> Message:
    """Insert one message: see `add_many`."""
    return add_many(event_type, task, queue, [payload], state=state)[0]


def add_many(
    event_type: str, task: str, queue: str, payloads: Sequence[str], *, state: State
) -> list[Message]:
    """Insert messages, pending or ready. A payload is a JSON object, already checked.

    The caller has made sure of a transaction. A wake-up follows its commit: never part of it,
    since a NOTIFY takes a lock that all committing transactions share.
    """
    added = [Message(uuid.uuid4(), event_type, task, queue, json.loads(each)) for each in payloads]
    columns = {"event_type": event_type, "task": task, "queue": queue, "state": state.value}
    ids = [message.id for message in added]
    run(statements.ADD, ids=ids, payloads=list(payloads), **columns)
    transaction.on_commit(lambda: notifier.wake(CHANNELS[state]), using=outbox_settings().database)
    return added


def add_accepted(accept: str, drafts: Sequence[Draft], run: Run, **parameters: Any) -> set[UUID]:
    """Insert drafts in one statement with what decides which of them: return the ids of those.

    `accept` is the caller's part: CTEs without their WITH, of which `accepted` gives those ids as
    `message_id`. `run` runs the whole; who has it committed then wakes the channel of the state.
    """
    ids, *columns = zip(*drafts, strict=True)
    ours = dict(zip(Draft._fields, [of_ids(ids), *map(of_texts, columns)], strict=True))
    statement = statements.ADD_ACCEPTED.format(accept=accept)
    return {row[0] for row in run(statement, {**parameters, **ours})}


def _claim(
    statement: str, seen: Watermark, scope: Mapping[str, Any], *, suspect: bool = False
) -> list[Message]:
    token, lease = uuid.uuid4(), outbox_settings().lease_seconds
    claimed = []
    for *columns, payload, due_at in run_alone(statement, **scope, token=token, lease=lease):
        claimed.append(Message.from_row([*columns, token, payload, suspect]))
        seen.advance(claimed[-1].queue if "marks" in scope else "", due_at)
    return claimed


def claim_pending(
    event_types: Sequence[str], *, limit: int, seen: Watermark | None = None
) -> list[Message]:
    """Claim due messages that are owed their preparation, of the types given.

    Those before the watermark are left to a claim without, and it moves on.
    """
    seen = seen or Watermark()
    scope = {"event_types": list(event_types), "limit": limit, "mark": seen.of([""])[0]}
    return _claim(statements.CLAIM_PENDING, seen, scope)


def claim_pending_suspect(event_types: Sequence[str]) -> list[Message]:
    """Claim one pending message whose last claim did not end well, if any is due."""
    scope = {"event_types": list(event_types)}
    return _claim(statements.CLAIM_PENDING_SUSPECT, Watermark(), scope, suspect=True)


def claim_ready(
    rooms: Mapping[str, int], allowed: AllowedTasks, seen: Watermark | None = None
) -> list[Message]:
    """Claim due messages to send: at most its room per queue, of the allowed tasks only.

    Those before the watermark are left to a claim without, and it moves on.
    """
    seen = seen or Watermark()
    scope = {"queues": list(rooms), "rooms": list(rooms.values()), "marks": seen.of(rooms)}
    return _claim(statements.CLAIM_READY, seen, scope | allowed.parameters())


def claim_overdue(
    queues: Sequence[str], allowed: AllowedTasks, *, limit: int, seen: Watermark | None = None
) -> list[Message]:
    """Claim dispatched messages whose receipt is overdue, at most `limit` per queue."""
    seen = seen or Watermark()
    scope = {"queues": list(queues), "marks": seen.of(queues), "limit": limit}
    return _claim(statements.CLAIM_OVERDUE, seen, scope | allowed.parameters())


def claim_unsent_suspect(
    queues: Sequence[str], allowed: AllowedTasks, seen: Watermark | None = None
) -> list[Message]:
    """Claim one message to send whose last claim did not end well; `queues` have room left."""
    seen = seen or Watermark()
    scope = {"queues": list(queues), "mark": seen.of([""])[0], **allowed.parameters()}
    return _claim(statements.CLAIM_UNSENT_SUSPECT, seen, scope, suspect=True)


def hold(messages: Sequence[Message], *, patience: str = "2s") -> set[UUID]:
    """Lock the pending rows that are still ours, for the rest of the transaction.

    What has been lost leaves the batch here, so that `mark_ready` at the end cannot lose any.
    Waits at most `patience` for a lock, and leaves that limit set for the transaction.
    """
    return fence.kept(run, statements.HOLD, messages, patience=patience)


def mark_ready(messages: Sequence[Message]) -> set[UUID]:
    """Pending to ready, in the transaction that did the preparation."""
    won = fence.kept(run, statements.MARK_READY, messages)
    if won:
        run("SELECT pg_notify(%(channel)s, '')", channel=READY_CHANNEL)  # once per batch
    return won


def mark_dispatched(messages: Sequence[Message]) -> set[UUID]:
    """Ready (or dispatched, sent again) to dispatched: the broker has confirmed it."""
    redispatch = outbox_settings().redispatch_seconds
    return fence.kept(run_alone, statements.MARK_DISPATCHED, messages, redispatch=redispatch)


def release(messages: Sequence[Message], *, delay: float = 0.0, unsent: bool = False) -> set[UUID]:
    """Give claims back unspent: refunded, and due again after `delay` seconds.

    `unsent` says that the relay had claimed them and that the broker cannot have got them.
    """
    won: set[UUID] = set()
    how = {"delay": delay, "unsent": unsent}
    for suspect in (False, True):
        part = [message for message in messages if message.suspect is suspect]
        won |= fence.won(run_alone, statements.RELEASE, part, **how, suspect=suspect)
    return won


def fail(message: Message, error: str, *, delay: float, max_attempts: int) -> State:
    """A claim ended in an error: due in `delay` seconds, or dead after `max_attempts`.

    Raises `LeaseLost` if another has claimed it since.
    """
    claim = {"id": message.id, "token": message.lease_token, "error": storable(error)}
    rows = run(statements.FAIL, **claim, delay=delay, max_attempts=max_attempts)
    return State(fence.single(rows, message)[0])


def lock(message_id: UUID, *, patience: str | None = "2s") -> Taken | None:
    """A worker takes the live row for its transaction; None when it is gone: done already.

    Waits at most `patience` ("2s") for the lock, and leaves that limit set for the transaction.
    With None it does not wait, and a row that somebody else has is None too.
    """
    wait = {"patience": patience} if patience else {}
    rows = run(task_statements.LOCK if wait else task_statements.LOCK_FREE, id=message_id, **wait)
    return Taken.from_row(rows[0]) if rows else None


def begin_try(message: Message, *, token: UUID | None, seconds: float) -> int:
    """A worker counts its try before the body runs and returns the tries so far.

    With a token it also takes a lease of `seconds`, for a body that runs without a transaction.
    Without one, `seconds` is the time until the message is sent again.
    """
    rows = run(task_statements.BEGIN_TRY, id=message.id, token=token, seconds=seconds)
    return int(fence.single(rows, message)[0])


def is_as_left(message: Message, *, counted: bool) -> bool:
    """Whether the row still stands as a try that was lost with its connection has left it."""
    return bool(run(task_statements.AS_LEFT, **message.as_claimed, counted=counted))


def give_back(
    message: Message, error: str, *, counted: bool, delay: float, limit: int
) -> State | None:
    """Undo such a try, or count it if the one before was lost too. None if the row is locked."""
    told = {"word": f"{LOST_WORD}%", "error": lost(error)}
    policy = {"counted": counted, "delay": delay, "limit": limit}
    rows = run(task_statements.GIVE_BACK, **told, **policy, **message.as_claimed)
    return State(rows[0][0]) if rows else None


def fail_try(
    message: Message, error: str, *, counted: bool, token: UUID | None, delay: float, limit: int
) -> State:
    """A task failed: ready again after `delay` seconds, or dead after `limit` tries.

    `counted` says that `begin_try` has counted this try. Its lease is cleared, so that the
    relay's late mark loses.
    """
    claim = {"id": message.id, "token": token, "counted": counted, "error": storable(error)}
    rows = run(task_statements.FAIL_TRY, **claim, delay=delay, max_attempts=limit)
    return State(fence.single(rows, message)[0])


def complete(message: Message, *, counted: bool, token: UUID | None, taken_at: datetime) -> None:
    """A task is done: its row leaves for the history, in the task's own transaction.

    `counted` says that `begin_try` has counted this try. The history has the tries that failed.
    """
    rows = run(
        task_statements.COMPLETE, id=message.id, counted=counted, token=token, taken_at=taken_at
    )
    fence.single(rows, message)


def requeue(ids: Sequence[UUID]) -> set[UUID]:
    """Dead to pending or ready, whichever step it died in, with a fresh count of attempts."""
    return {row[0] for row in run(statements.REQUEUE, ids=list(ids))}
