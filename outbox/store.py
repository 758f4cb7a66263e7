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

from django.db import connections, transaction

from outbox import notifier, statements, task_statements
from outbox.conf import outbox_settings
from outbox.exceptions import LeaseLost
from outbox.last_error import LOST_WORD, lost, storable
from outbox.message import Message, Taken
from outbox.states import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from outbox.registry import AllowedTasks

PENDING_CHANNEL = "outbox_pending"
READY_CHANNEL = "outbox_ready"


def run(statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Run one statement on the outbox's database and return its rows."""
    with connections[outbox_settings().database].cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def to_message(row: Sequence[Any]) -> Message:
    """A message from a row of `statements.COLUMNS`, its payload and whether it is a suspect."""
    message_id, event_type, task, queue, attempts, sends, token, payload, suspect = row
    arguments = json.loads(payload)
    return Message(message_id, event_type, task, queue, arguments, attempts, sends, token, suspect)


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
    run(
        statements.ADD,
        ids=[message.id for message in added],
        payloads=list(payloads),
        event_type=event_type,
        task=task,
        queue=queue,
        state=state.value,
    )
    channel = PENDING_CHANNEL if state is State.PENDING else READY_CHANNEL
    transaction.on_commit(lambda: notifier.wake(channel), using=outbox_settings().database)
    return added


def _claim(statement: str, **parameters: Any) -> list[Message]:
    lease = outbox_settings().lease_seconds
    rows = run(statement, token=uuid.uuid4(), lease=lease, **parameters)
    return [to_message(row) for row in rows]


def claim_pending(event_types: Sequence[str], *, limit: int) -> list[Message]:
    """Claim due messages that are owed their preparation, of the types given."""
    return _claim(statements.CLAIM_PENDING, event_types=list(event_types), limit=limit)


def claim_pending_suspect(event_types: Sequence[str]) -> list[Message]:
    """Claim one pending message whose last claim did not end well, if any is due."""
    return _claim(statements.CLAIM_PENDING_SUSPECT, event_types=list(event_types))


def claim_ready(rooms: Mapping[str, int], allowed: AllowedTasks) -> list[Message]:
    """Claim due messages to send: at most its room per queue, of the allowed tasks only."""
    return _claim(
        statements.CLAIM_READY,
        queues=list(rooms),
        rooms=list(rooms.values()),
        **allowed.parameters(),
    )


def claim_overdue(queues: Sequence[str], allowed: AllowedTasks, *, limit: int) -> list[Message]:
    """Claim dispatched messages whose receipt is overdue, at most `limit` per queue."""
    return _claim(
        statements.CLAIM_OVERDUE, queues=list(queues), limit=limit, **allowed.parameters()
    )


def claim_unsent_suspect(queues: Sequence[str], allowed: AllowedTasks) -> list[Message]:
    """Claim one message to send whose last claim did not end well; `queues` have room left."""
    return _claim(statements.CLAIM_UNSENT_SUSPECT, queues=list(queues), **allowed.parameters())


def hold(messages: Sequence[Message]) -> set[UUID]:
    """Lock the pending rows that are still ours, for the rest of the transaction.

    What has been lost leaves the batch here, so that `mark_ready` at the end cannot lose any.
    """
    return _fenced(statements.HOLD, messages)


def mark_ready(messages: Sequence[Message]) -> set[UUID]:
    """Pending to ready, in the transaction that did the preparation."""
    won = _fenced(statements.MARK_READY, messages)
    if won:
        run("SELECT pg_notify(%(channel)s, '')", channel=READY_CHANNEL)  # once per batch
    return won


def mark_dispatched(messages: Sequence[Message]) -> set[UUID]:
    """Ready (or dispatched, sent again) to dispatched: the broker has confirmed it."""
    return _fenced(
        statements.MARK_DISPATCHED, messages, redispatch=outbox_settings().redispatch_seconds
    )


def release(messages: Sequence[Message], *, delay: float = 0.0, unsent: bool = False) -> set[UUID]:
    """Give claims back unspent: refunded, and due again after `delay` seconds.

    `unsent` says that the relay had claimed them and that the broker cannot have got them.
    """
    won: set[UUID] = set()
    for suspect in (False, True):
        part = [message for message in messages if message.suspect is suspect]
        won |= _fenced(statements.RELEASE, part, delay=delay, suspect=suspect, unsent=unsent)
    return won


def _fenced(statement: str, messages: Sequence[Message], **parameters: Any) -> set[UUID]:
    """Run a statement for the messages of one claim or several, each under its own token."""
    by_token: dict[UUID | None, list[UUID]] = {}
    for message in messages:
        by_token.setdefault(message.lease_token, []).append(message.id)
    won: set[UUID] = set()
    for token, ids in by_token.items():
        won.update(row[0] for row in run(statement, ids=ids, token=token, **parameters))
    return won


def fail(message: Message, error: str, *, delay: float, max_attempts: int) -> State:
    """A claim ended in an error: due in `delay` seconds, or dead after `max_attempts`.

    Raises `LeaseLost` if another has claimed it since.
    """
    claim = {"id": message.id, "token": message.lease_token, "error": storable(error)}
    rows = run(statements.FAIL, **claim, delay=delay, max_attempts=max_attempts)
    return State(_single(rows, message)[0])


def lock(message_id: UUID, *, patience: str = "2s") -> Taken | None:
    """A worker takes the live row for its transaction; None when it is gone: done already.

    Waits at most `patience` ("2s") for the lock, and leaves that limit set for the transaction.
    """
    rows = run(task_statements.LOCK, id=message_id, patience=patience)
    if not rows:
        return None
    *columns, state, stale, running, wordless, now = rows[0]
    return Taken(to_message([*columns, False]), State(state), stale, running, wordless, now)


def begin_try(message: Message, *, token: UUID | None, seconds: float) -> int:
    """A worker counts its try before the body runs and returns the tries so far.

    With a token it also takes a lease of `seconds`, for a body that runs without a transaction.
    Without one, `seconds` is the time until the message is sent again.
    """
    rows = run(task_statements.BEGIN_TRY, id=message.id, token=token, seconds=seconds)
    return int(_single(rows, message)[0])


def is_as_left(message: Message, *, counted: bool) -> bool:
    """Whether the row still stands as a try that was lost with its connection has left it."""
    return bool(run(task_statements.AS_LEFT, **_seen(message), counted=counted))


def give_back(
    message: Message, error: str, *, counted: bool, delay: float, limit: int
) -> State | None:
    """Undo such a try, or count it if the one before was lost too. None if the row is locked."""
    told = {"word": f"{LOST_WORD}%", "error": lost(error)}
    policy = {"counted": counted, "delay": delay, "limit": limit}
    rows = run(task_statements.GIVE_BACK, **told, **policy, **_seen(message))
    return State(rows[0][0]) if rows else None


def _seen(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in ("id", "lease_token", "attempts", "sends")}


def fail_try(
    message: Message, error: str, *, counted: bool, token: UUID | None, delay: float, limit: int
) -> State:
    """A task failed: ready again after `delay` seconds, or dead after `limit` tries.

    `counted` says that `begin_try` has counted this try. Its lease is cleared, so that the
    relay's late mark loses.
    """
    rows = run(
        task_statements.FAIL_TRY,
        id=message.id,
        token=token,
        error=storable(error),
        counted=counted,
        delay=delay,
        max_attempts=limit,
    )
    return State(_single(rows, message)[0])


def complete(message: Message, *, counted: bool, token: UUID | None, taken_at: datetime) -> None:
    """A task is done: its row leaves for the history, in the task's own transaction.

    `counted` says that `begin_try` has counted this try. The history has the tries that failed.
    """
    rows = run(
        task_statements.COMPLETE, id=message.id, counted=counted, token=token, taken_at=taken_at
    )
    _single(rows, message)


def requeue(ids: Sequence[UUID]) -> set[UUID]:
    """Dead to pending or ready, whichever step it died in, with a fresh count of attempts."""
    return {row[0] for row in run(statements.REQUEUE, ids=list(ids))}


def _single(rows: list[tuple[Any, ...]], message: Message) -> tuple[Any, ...]:
    if not rows:
        raise LeaseLost(f"message {message.id} was taken by another process meanwhile")
    return rows[0]
