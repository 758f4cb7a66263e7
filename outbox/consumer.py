"""The task's side: an idempotent consumer. Effect and receipt commit together, or neither does."""

from __future__ import annotations

import inspect
import logging
import traceback
import uuid
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery.exceptions import Ignore, MaxRetriesExceededError, Reject, Retry
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    connections,
    transaction,
)
from psycopg2 import errorcodes

from outbox import registry, soft_limit, store
from outbox.backoff import is_wait
from outbox.conf import outbox_settings
from outbox.exceptions import LeaseLost, Permanent
from outbox.hooks import Hooks
from outbox.message import Taken
from outbox.routers import primary
from outbox.states import FINISHABLE, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outbox.declaration import Task
    from outbox.message import Message

logger = logging.getLogger(__name__)

LOCK_TIMEOUT = "2s"
"""How long a worker waits for its row: claims and marks hold it for a moment too."""
LEASE_MARGIN_SECONDS = 10
"""What the lease of a task without a transaction has beyond the task's time limit."""


def consume(task: Task[Any], message_id: UUID, *, again: bool) -> str:
    """Run the task of a message once, and return the word for what became of it.

    `again` says that the broker may have handed it out before. Then the try is counted before
    the body runs, so that a message which kills its process comes to an end; a first delivery
    saves that commit. The body's exception is raised again once the retry has been written.
    """
    # A connection that was lost since the last task is made again, and not this task's failure.
    _drop_lost_connections()
    # A worker reads the primary anyway; a web request that runs a task, in a test say, might not.
    with primary(), soft_limit.deferred():
        outcome = _consume(task, message_id, again=again)
    logger.info("outbox.task %s %s %s", outcome, task.name, message_id)
    return outcome


def _consume(task: Task[Any], message_id: UUID, *, again: bool) -> str:
    if task.atomic:
        refusal = _begin(task, message_id, None) if again else None
        return refusal if isinstance(refusal, str) else _run_atomic(task, message_id, again)
    token = uuid.uuid4()
    lease = (task.time_limit or 0) + LEASE_MARGIN_SECONDS
    begun = _begin(task, message_id, token, lease=lease)
    return begun if isinstance(begun, str) else _run_leased(task, begun, token)


@contextmanager
def _taken(task: Task[Any], message_id: UUID) -> Iterator[Taken | str]:
    """Hold the row in a transaction, or yield the word for why it is not to be run."""
    with transaction.atomic(using=outbox_settings().database, durable=True):
        yield _take(task, message_id)


def _take(task: Task[Any], message_id: UUID) -> Taken | str:
    try:
        taken = store.lock(message_id, patience=LOCK_TIMEOUT)
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) != errorcodes.LOCK_NOT_AVAILABLE:
            raise
        transaction.set_rollback(True, using=outbox_settings().database)
        return "busy"
    # The body's own statements wait as long as the session lets them.
    store.run("SET LOCAL lock_timeout TO DEFAULT")
    if taken is None:
        return "already_done"
    if taken.running:
        return "busy"
    if taken.state not in FINISHABLE or taken.stale or taken.message.task != task.name:
        return "not_wanted"
    return taken


def _begin(
    task: Task[Any], message_id: UUID, token: UUID | None, *, lease: float | None = None
) -> Taken | str:
    """Count the try, with a lease if there is a token, and commit it before the body runs.

    A message whose last try left no word is not begun but put off, as after any failure: brokers
    hand it out again as soon as its worker is back, and beside the same neighbours each time it
    would use up their tries with its own.
    """
    seconds = lease if lease is not None else outbox_settings().redispatch_seconds
    with _taken(task, message_id) as taken:
        if isinstance(taken, str):
            return taken
        limit = registry.max_attempts(taken.message.event_type)
        if taken.wordless:
            return _put_off(taken.message, None, limit)
        attempts = store.begin_try(taken.message, token=token, seconds=seconds)
        if attempts <= limit:
            return replace(taken, message=replace(taken.message, attempts=attempts))
        return _put_off(taken.message, token, limit)


def _put_off(message: Message, token: UUID | None, limit: int) -> str:
    """Write down that the try before ended without a word; for good, if it was the last one."""
    delay = registry.delay_seconds(message)
    state = store.fail_try(
        message, store.NO_WORD, counted=True, token=token, delay=delay, limit=limit
    )
    return "dead" if state is State.DEAD else "put_off"


def _run_atomic(task: Task[Any], message_id: UUID, counted: bool) -> str:
    """The body and its receipt in one transaction, under the row's lock."""
    alias = outbox_settings().database
    failure: Exception | None = None
    with _taken(task, message_id) as taken:
        if isinstance(taken, str):
            return taken
        message = taken.message
        if not counted and message.lease_token is None:  # else the relay's claim has counted it
            message = replace(message, attempts=message.attempts + 1)
        hooks = Hooks(task, message)
        try:
            # A savepoint: an exception undoes the body while the row stays locked for the retry.
            with transaction.atomic(using=alias):
                result = _call(task, hooks)
                # Deferred constraints would fail at the commit, where no retry can be written.
                store.run("SET CONSTRAINTS ALL IMMEDIATE")
        except Exception as error:  # noqa: BLE001 - whatever a task raises is its failure
            failure = error
            state = _write_failure(message, failure, counted=counted, token=None)
        else:
            store.complete(message, counted=counted, token=None, taken_at=taken.at)
    if failure is not None:
        raise _told(hooks, failure, state)
    if not isinstance(result, Ignore):
        hooks.tell_success(result)
    return "done"


def _run_leased(task: Task[Any], taken: Taken, token: UUID) -> str:
    """The body without a transaction; its receipt is guarded by the worker's lease."""
    message = taken.message
    hooks = Hooks(task, message)
    try:
        result = _call(task, hooks)
    except Exception as error:  # noqa: BLE001 - whatever a task raises is its failure
        # The connection may have died while the body talked to others; a new one can still write.
        _drop_lost_connections()
        try:
            state = _write_failure(message, error, counted=True, token=token)
        except LeaseLost:
            raise error from error.__cause__
        raise _told(hooks, error, state) from error.__cause__
    _drop_lost_connections()
    try:
        store.complete(message, counted=True, token=token, taken_at=taken.at)
    except LeaseLost:
        return "lease_lost"
    if not isinstance(result, Ignore):
        hooks.tell_success(result)
    return "done"


def _drop_lost_connections() -> None:
    """Close the connections that had errors and are lost; idle ones are looked at when used."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:  # of a test case, which must keep it
            connection.close_if_unusable_or_obsolete()


def _call(task: Task[Any], hooks: Hooks) -> object:
    """Run the body. Ignore, raised by it, is returned: what the body has done until then stays."""
    try:
        with soft_limit.felt():
            result = hooks.run()
    except Ignore as enough:
        return enough
    if inspect.isawaitable(result) or inspect.isgenerator(result) or inspect.isasyncgen(result):
        if isinstance(result, Coroutine | Generator):
            result.close()  # or Python would warn, later, that it was never awaited
        raise Permanent(f"{task.name} returned {type(result).__name__}: its work was not done")
    return result


def _write_failure(
    message: Message, failure: Exception, *, counted: bool, token: UUID | None
) -> State:
    buried = isinstance(failure, Permanent) or (
        isinstance(failure, Reject) and not getattr(failure, "requeue", False)
    )
    try:
        state = store.fail_try(
            message,
            "".join(traceback.format_exception(failure)),
            counted=counted,
            token=token,
            delay=_delay_seconds(message, failure),
            limit=0 if buried else registry.max_attempts(message.event_type),
        )
    except (DatabaseError, InterfaceError) as lost:
        # The connection is gone: nothing can be written, and the message is sent again.
        logger.warning("outbox.task %s: its failure could not be written: %s", message.id, lost)
        raise failure from failure.__cause__
    logger.warning("outbox.task %s %s: %s", state, message.id, failure)
    return state


def _delay_seconds(message: Message, failure: Exception) -> float:
    if isinstance(failure, Retry) and is_wait(when := failure.when):
        return float(when)
    return registry.delay_seconds(message)


def _told(hooks: Hooks, failure: Exception, state: State) -> Exception:
    """Tell the hooks of a failure that is written. Return what to raise of it."""
    dead = state is State.DEAD
    if dead and isinstance(failure, Retry):  # as Celery has it: the last one is the reason's own
        reason = failure.__cause__
        if not isinstance(reason, Exception):
            reason = MaxRetriesExceededError("asked to be tried again, and its tries are used up")
        failure = reason.with_traceback(reason.__traceback__ or failure.__traceback__)
    hooks.tell_failure(failure, dead=dead)
    return failure
