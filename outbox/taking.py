"""A worker takes its row, and counts its try before the body runs."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from time import sleep
from typing import TYPE_CHECKING, Any

from django.db import OperationalError, transaction
from psycopg2 import errorcodes

from outbox import database, registry, store
from outbox.conf import outbox_settings
from outbox.last_error import NO_WORD
from outbox.states import FINISHABLE, State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from outbox.declaration import Task
    from outbox.message import Message, Taken
    from outbox.outage import Held

LOCK_TIMEOUT = "2s"
"""How long a worker waits for its row: claims and marks hold it for a moment too."""
LEASE_MARGIN_SECONDS = 10
"""What the lease of a task without a transaction has beyond the task's time limit, at least."""
GRACE_SECONDS = 1.0
"""How long a try that was begun may take to lock its row: after that its worker is dead."""


@contextmanager
def taken_row(task: Task[Any], message_id: UUID) -> Iterator[Taken | str]:
    """Hold the row in a transaction, or yield the word for why it is not to be run."""
    with transaction.atomic(using=outbox_settings().database, durable=True):
        yield _take(task, message_id)


def _take(task: Task[Any], message_id: UUID) -> Taken | str:
    # Nearly always it is there and free: then no wait has to be bounded and unbounded again.
    taken = store.lock(message_id, patience=None)
    if taken is None:
        try:
            taken = store.lock(message_id, patience=LOCK_TIMEOUT)
        except OperationalError as error:
            if getattr(error.__cause__, "pgcode", None) != errorcodes.LOCK_NOT_AVAILABLE:
                raise
            transaction.set_rollback(True, using=outbox_settings().database)
            return "busy"
        # The body's own statements wait as long as the session lets them.
        database.run("SET LOCAL lock_timeout TO DEFAULT")
    if taken is None:
        return "already_done"
    if taken.running:
        return "busy"
    if taken.state not in FINISHABLE or taken.stale or taken.message.task != task.name:
        return "not_wanted"
    return taken


def begin(task: Task[Any], message_id: UUID, held: Held, token: UUID | None) -> Taken | str:
    """Count the try, with a lease if there is a token, and commit it before the body runs.

    A message whose last try left no word is not begun but put off, as after any failure: brokers
    hand it out again as soon as its worker is back, and beside the same neighbours each time it
    would use up their tries with its own.
    """
    looked_at = None
    while True:
        with taken_row(task, message_id) as taken:
            if isinstance(taken, str):
                return taken
            if not taken.wordless:
                return _count_try(task, taken, held, token)
            if taken.message.attempts == looked_at:
                # For good only when another delivery finds its tries used up: one second is short.
                return _put_off(taken.message, None, taken.message.attempts + 1)
            looked_at = taken.message.attempts
        # It may have begun just now, and be about to lock its row: only the dead stay away.
        sleep(GRACE_SECONDS)


def _count_try(task: Task[Any], taken: Taken, held: Held, token: UUID | None) -> Taken | str:
    seconds = float(outbox_settings().redispatch_seconds)
    if token is not None:
        # Of those that die together none comes back beside the same neighbours: see `begin`.
        spread = registry.delay_seconds(taken.message)
        seconds = (task.time_limit or 0) + LEASE_MARGIN_SECONDS + spread
    limit = registry.max_attempts(taken.message.event_type)
    attempts = store.begin_try(taken.message, token=token, seconds=seconds)
    if attempts > limit:
        return _put_off(taken.message, token, limit)
    message = replace(taken.message, attempts=attempts)
    held.message, held.counted = replace(message, lease_token=token), True
    return replace(taken, message=message)


def _put_off(message: Message, token: UUID | None, limit: int) -> str:
    """Write down that the try before ended without a word; for good, if it was the last one."""
    delay = registry.delay_seconds(message)
    state = store.fail_try(message, NO_WORD, counted=True, token=token, delay=delay, limit=limit)
    return "dead" if state is State.DEAD else "put_off"
