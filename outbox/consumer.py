"""The task's side: an idempotent consumer. Effect and receipt commit together, or neither does."""

from __future__ import annotations

import inspect
import logging
import traceback
import uuid
from collections.abc import Coroutine, Generator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery.exceptions import Ignore, MaxRetriesExceededError, Reject, Retry
from django.db import DatabaseError, InterfaceError, transaction

from outbox import database, outage, registry, soft_limit, store
from outbox.backoff import is_wait
from outbox.conf import outbox_settings
from outbox.exceptions import LeaseLost, Permanent
from outbox.hooks import Hooks
from outbox.message import Taken
from outbox.routers import primary
from outbox.states import State
from outbox.taking import begin, taken_row

if TYPE_CHECKING:
    from outbox.declaration import Task
    from outbox.message import Message

logger = logging.getLogger(__name__)


def consume(task: Task[Any], message_id: UUID, *, again: bool) -> str:
    """Run the task of a message once, and return the word for what became of it.

    `again` says that the broker may have handed it out before. Then the try is counted before
    the body runs, so that a message which kills its process comes to an end; a first delivery
    saves that commit. The body's exception is raised again once the retry has been written.

    A try that loses its database is given back unspent once that is there again; lost once more
    it counts. Its exception is raised as any other.
    """
    # A connection that was lost since the last task is made again, and not this task's failure.
    outage.drop_lost_connections()
    held = outage.Held()
    # A worker reads the primary anyway; a web request that runs a task, in a test say, might not.
    with primary(), soft_limit.deferred():
        # To begin without a database would have the broker forget the message for nothing.
        held.begin(trusting=True)
        try:
            outcome = _begun(task, message_id, held, again=again)
            held.end()
        except Exception as error:
            if held.is_lost() and held.message is not None:
                held.give_back(
                    "".join(traceback.format_exception(error)),
                    delay=registry.delay_seconds(held.message),
                    limit=registry.max_attempts(held.message.event_type),
                )
            raise
    logger.info("outbox.task %s %s %s", outcome, task.name, message_id)
    return outcome


def _begun(task: Task[Any], message_id: UUID, held: outage.Held, *, again: bool) -> str:
    """Consume it; once more if the session was lost since it was used last, which costs nothing."""
    try:
        return _consume(task, message_id, held, again=again)
    except outage.LOST as error:
        if held.message is not None or not outage.is_outage(error):
            raise
    outage.drop_lost_connections()
    held.begin(trusting=False)
    return _consume(task, message_id, held, again=again)


def _consume(task: Task[Any], message_id: UUID, held: outage.Held, *, again: bool) -> str:
    if task.atomic:
        refusal = begin(task, message_id, held, None) if again else None
        return refusal if isinstance(refusal, str) else _run_atomic(task, message_id, held, again)
    token = uuid.uuid4()
    begun = begin(task, message_id, held, token)
    return begun if isinstance(begun, str) else _run_leased(task, begun, held, token)


def _run_atomic(task: Task[Any], message_id: UUID, held: outage.Held, counted: bool) -> str:
    """The body and its receipt in one transaction, under the row's lock."""
    alias = outbox_settings().database
    failure: Exception | None = None
    with taken_row(task, message_id) as taken:
        if isinstance(taken, str):
            return taken
        message = taken.message
        if not counted:
            # The relay's claim, if it is still on the row, has counted this try; or a copy has that
            # was begun, and not run.
            held.message = message
            held.counted = taken.wordless or message.lease_token is not None
            message = replace(message, attempts=message.attempts + (not held.counted))
            counted = taken.wordless
        hooks = Hooks(task, message)
        try:
            # A savepoint: an exception undoes the body while the row stays locked for the retry.
            with transaction.atomic(using=alias):
                result = _call(task, hooks)
                # Deferred constraints would fail at the commit, where no retry can be written.
                database.run("SET CONSTRAINTS ALL IMMEDIATE")
        except Exception as error:  # noqa: BLE001 - whatever a task raises is its failure
            failure = error
            try:
                state = _write_failure(message, failure, counted=counted, token=None)
            except (DatabaseError, InterfaceError):
                raise failure from failure.__cause__
        else:
            store.complete(message, counted=counted, token=None, taken_at=taken.at)
    held.settled = True
    if failure is not None:
        raise _told(hooks, failure, state)
    if not isinstance(result, Ignore):
        hooks.tell_success(result)
    return "done"


def _run_leased(task: Task[Any], taken: Taken, held: outage.Held, token: UUID) -> str:
    """The body without a transaction; its receipt is guarded by the worker's lease."""
    message = taken.message
    hooks = Hooks(task, message)
    write = partial(_write_failure, message, counted=True, token=token)
    receive = partial(store.complete, message, counted=True, token=token, taken_at=taken.at)
    try:
        result = _call(task, hooks)
    except Exception as error:
        if outage.is_outage(error) and held.is_lost():
            raise  # the database's failure, and not the task's
        outage.drop_lost_connections()
        held.settled = True
        try:
            # The connection may have died while the body talked to others: a new one can write.
            state = outage.insist(partial(write, error))
        except (LeaseLost, *outage.LOST):
            raise error from error.__cause__
        raise _told(hooks, error, state) from error.__cause__
    held.settled = True
    try:
        outage.insist(receive)
    except LeaseLost:
        return "lease_lost"
    if not isinstance(result, Ignore):
        hooks.tell_success(result)
    return "done"


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
    state = store.fail_try(
        message,
        "".join(traceback.format_exception(failure)),
        counted=counted,
        token=token,
        delay=_delay_seconds(message, failure),
        limit=0 if buried else registry.max_attempts(message.event_type),
    )
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
