"""The task's side: an idempotent consumer. Effect and receipt commit together, or neither does."""

from __future__ import annotations

import contextlib
import inspect
import logging
import traceback
import uuid
from collections.abc import Coroutine, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import celery
from celery.exceptions import TaskPredicate
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    connections,
    transaction,
)
from psycopg2 import errorcodes

from outbox import backoff, registry, store
from outbox.conf import outbox_settings
from outbox.exceptions import LeaseLost, NotSendable, Permanent
from outbox.message import Message, Taken
from outbox.routers import primary
from outbox.states import FINISHABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outbox.declaration import Task

logger = logging.getLogger(__name__)

LOCK_TIMEOUT = "2s"
"""How long a worker waits for its row: claims and marks hold it for a moment too."""
LEASE_MARGIN_SECONDS = 10
"""What the lease of a task without a transaction has beyond the task's time limit."""

_current: ContextVar[Message | None] = ContextVar("outbox_current_message", default=None)


def current_message() -> Message:
    """The message whose task is running. Raises LookupError outside of one."""
    message = _current.get()
    if message is None:
        raise LookupError("No outbox task is running here.")
    return message


class OutboxTask(celery.Task):  # type: ignore[type-arg]  # generic in newer releases only
    """Celery's side of an outbox task: it can be received, not sent."""

    def apply_async(self, *_args: Any, **_kwargs: Any) -> Any:
        raise NotSendable(
            f"{self.name} is an outbox task: use its enqueue(), or "
            "outbox.add(event_type, ...), inside transaction.atomic()."
        )

    def signature(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: a signature is a message to be sent by Celery."""
        return self.apply_async(*args, **kwargs)

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: a result would hide that there is no message, and so no transaction."""
        return self.apply_async(*args, **kwargs)

    def retry(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: it would be tried uncounted. To be tried again, a task raises."""
        return self.apply_async(*args, **kwargs)

    subtask = s = si = signature


def runner(task: Task[Any]) -> Callable[..., str]:
    """The function that Celery runs for a task: consume the message named by the task id."""

    def run(celery_task: celery.Task[Any, Any], *_args: Any, **_kwargs: Any) -> str:
        request = celery_task.request
        sends = (getattr(request, "headers", None) or {}).get("outbox")
        if sends is None:
            raise NotSendable(f"{task.name} {request.id} was not sent by the outbox's relay.")
        again = sends > 1 or bool((request.delivery_info or {}).get("redelivered"))
        try:
            return consume(task, UUID(request.id), again=again)
        except (MemoryError, TaskPredicate) as error:
            # Celery ends the whole worker for the first, and for the others (Ignore, Reject,
            # Retry) does what the row has already seen to.
            raise RuntimeError(f"{task.name} raised {error!r}") from error

    run.__doc__ = task.__doc__
    return run


def consume(task: Task[Any], message_id: UUID, *, again: bool) -> str:
    """Run the task of a message once, and return the word for what became of it.

    `again` says that the broker may have handed it out before. Then the try is counted before
    the body runs, so that a message which kills its process comes to an end; a first delivery
    saves that commit. The body's exception is raised again once the retry has been written.
    """
    # A connection that was lost since the last task is made again, and not this task's failure.
    _drop_lost_connections()
    # A worker reads the primary anyway; a web request that runs a task, in a test say, might not.
    with primary():
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
    """Count the try, with a lease if there is a token, and commit it before the body runs."""
    seconds = lease if lease is not None else outbox_settings().redispatch_seconds
    with _taken(task, message_id) as taken:
        if isinstance(taken, str):
            return taken
        limit = registry.max_attempts(taken.message.event_type)
        attempts = store.begin_try(taken.message, token=token, seconds=seconds)
        if attempts <= limit:
            return replace(taken, message=replace(taken.message, attempts=attempts))
        store.fail_try(
            taken.message, store.NO_WORD, counted=True, token=token, delay=0, limit=limit
        )
        return "dead"


def _run_atomic(task: Task[Any], message_id: UUID, counted: bool) -> str:
    """The body and its receipt in one transaction, under the row's lock."""
    alias = outbox_settings().database
    with _taken(task, message_id) as taken:
        if isinstance(taken, str):
            return taken
        message = taken.message
        if not counted and message.lease_token is None:  # else the relay's claim has counted it
            message = replace(message, attempts=message.attempts + 1)
        try:
            # A savepoint: an exception undoes the body while the row stays locked for the retry.
            with transaction.atomic(using=alias):
                _call(task, message)
                # Deferred constraints would fail at the commit, where no retry can be written.
                store.run("SET CONSTRAINTS ALL IMMEDIATE")
        except Exception as error:  # noqa: BLE001 - whatever a task raises is its failure
            failure = error
            _write_failure(message, failure, counted=counted, token=None)
        else:
            store.complete(message, counted=counted, token=None, taken_at=taken.at)
            return "done"
    raise failure


def _run_leased(task: Task[Any], taken: Taken, token: UUID) -> str:
    """The body without a transaction; its receipt is guarded by the worker's lease."""
    try:
        _call(task, taken.message)
    except Exception as error:
        # The connection may have died while the body talked to others; a new one can still write.
        _drop_lost_connections()
        with contextlib.suppress(LeaseLost):
            _write_failure(taken.message, error, counted=True, token=token)
        raise
    _drop_lost_connections()
    try:
        store.complete(taken.message, counted=True, token=token, taken_at=taken.at)
    except LeaseLost:
        return "lease_lost"
    return "done"


def _drop_lost_connections() -> None:
    """Close the connections that had errors and are lost; idle ones are looked at when used."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:  # of a test case, which must keep it
            connection.close_if_unusable_or_obsolete()


def _call(task: Task[Any], message: Message) -> None:
    context = _current.set(message)
    try:
        result = task.body(**message.payload)
    finally:
        _current.reset(context)
    if inspect.isawaitable(result) or inspect.isgenerator(result) or inspect.isasyncgen(result):
        if isinstance(result, Coroutine | Generator):
            result.close()  # or Python would warn, later, that it was never awaited
        raise Permanent(f"{task.name} returned {type(result).__name__}: its work was not done")


def _write_failure(
    message: Message, failure: Exception, *, counted: bool, token: UUID | None
) -> None:
    limit = 0 if isinstance(failure, Permanent) else registry.max_attempts(message.event_type)
    try:
        state = store.fail_try(
            message,
            "".join(traceback.format_exception(failure)),
            counted=counted,
            token=token,
            delay=backoff.delay_seconds(message.attempts),
            limit=limit,
        )
    except (DatabaseError, InterfaceError) as lost:
        # The connection is gone: nothing can be written, and the message is sent again.
        logger.warning("outbox.task %s: its failure could not be written: %s", message.id, lost)
        raise failure from failure.__cause__
    logger.warning("outbox.task %s %s: %s", state, message.id, failure)
