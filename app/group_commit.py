"""Group commit: deliveries that come while a commit is under way are written together by the next.

A commit costs about the same for one delivery as for many. One thread in each process of the web
server writes for all its requests, on a session of its own, and each request waits for its part:
it is answered after the commit, never before. Nothing is waited for without a deadline.

Without `start` each caller writes for itself: a test, or a server that knows no groups.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import deque
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

import psycopg2
from django.db import connections, transaction

from app import database
from app.arrival import find_known, store_new
from app.group import Group, Waiting, fail_all
from outbox import notifier, store
from outbox.side_connection import SideConnection

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from app.arrival import Arrival
    from app.ledger import Acceptance, Known

logger = logging.getLogger(__name__)

WAIT_SECONDS: Final = 6.0
"""How long a request waits for its group's commit: its statement has 5 seconds."""
STOP_SECONDS: Final = 1.0
"""All requests have been answered when a worker stops; only what was cut off is still written."""
GATHER_SECONDS: Final = 0.002
"""So long the next group gathers after one of several. Those who were answered just now send again
at once: without it the first of them would be a group by itself, and all others wait for that."""
GROUP_ROWS: Final = 200
GROUP_BYTES: Final = 4_194_304
"""No more is written at once, so that the first of a group does not wait for hundreds of others."""


class GroupCommit:
    """The thread that writes, and its session."""

    def __init__(self) -> None:
        self._queue: deque[Waiting] = deque()
        self._something = threading.Event()
        self._stopping = False
        self._group = Group(SideConnection())
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)

    def start(self) -> None:
        """Write what comes from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, take no more, and end the session."""
        self._stopping = True
        self._something.set()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            # Nobody waits for it any more, and its commit is part of what the server has got.
            self._group.cancel()
        fail_all(list(self._queue), psycopg2.OperationalError("the process ends"))

    def store(self, arrival: Arrival) -> Acceptance | Known | None:
        """Have it written with others: see `store`."""
        waiting = Waiting(arrival, monotonic() + WAIT_SECONDS)
        self._queue.append(waiting)
        self._something.set()
        return waiting.wait(WAIT_SECONDS)

    def _run(self) -> None:
        try:
            self._write_what_comes()
        finally:
            if not self._stopping:
                # Each request from now on would wait in vain. The server puts another process in
                # the place of one that ends.
                os.kill(os.getpid(), signal.SIGTERM)
                logger.critical("group_commit.ended its thread is dead, and so this process ends")
                fail_all(list(self._queue), psycopg2.OperationalError("the process ends"))

    def _write_what_comes(self) -> None:
        while not self._stopping or self._queue:
            self._something.wait()
            # Cleared before the queue is read: what comes in between is seen in the next turn.
            self._something.clear()
            while group := self._next():
                # Nobody would write any more: each fault is that of its group alone.
                try:
                    self._group.write(group)
                except Exception:
                    logger.exception("group_commit.fault")
                    fail_all(group, RuntimeError("the group was not stored: its log tells why"))
                if len(group) > 1:
                    time.sleep(GATHER_SECONDS)
        self._group.close()

    def _next(self) -> list[Waiting]:
        """Take what waits, in the order in which it came, as far as it fits into one statement."""
        group: list[Waiting] = []
        size = 0
        while self._queue and len(group) < GROUP_ROWS:
            size += self._queue[0].arrival.size
            if group and size > GROUP_BYTES:
                break
            group.append(self._queue.popleft())
        return group


_committer: GroupCommit | None = None


def start() -> None:
    """Write in groups from now on, in this process."""
    global _committer  # noqa: PLW0603 - one for each process
    _committer = GroupCommit()
    _committer.start()


def stop() -> None:
    """Let each write for itself again, when what waits is written."""
    global _committer
    committer, _committer = _committer, None
    if committer is not None:
        committer.stop()


def store_arrival(arrival: Arrival) -> Acceptance | Known | None:
    """Store a delivery: it is committed when this returns, or known as what the ledger says.

    None where the row that was in the way has left the ledger meanwhile. Raises Django's errors of
    databases, `OperationalError` where nothing is known of the outcome.
    """
    if _committer is None:
        return _store_alone(arrival)
    try:
        return _committer.store(arrival)
    except psycopg2.Error:
        with connections[database.alias()].wrap_database_errors:
            raise


def _store_alone(arrival: Arrival) -> Acceptance | Known | None:
    def run(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return database.run(statement, **parameters)

    # Durable: an outer transaction would let the caller answer 202 before the commit.
    with transaction.atomic(using=database.alias(), durable=True):
        if store_new([arrival], run):
            wake = partial(notifier.wake, store.CHANNELS[arrival.draft.state])
            transaction.on_commit(wake, using=database.alias())
            return arrival.acceptance
    return find_known([arrival.delivery.id], run).get(arrival.delivery.id)
