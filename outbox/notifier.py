"""NOTIFY after a commit, from a thread and on a connection of its own.

PostgreSQL takes one lock for the whole server while a transaction that notifies commits. A NOTIFY
in the transaction of a request would therefore queue all requests, flushes to disk included, one
behind the other. Here one thread per process notifies for all of them, a few hundred times a second
at most, in transactions that do not wait for the disk.

A notification is a hint: whoever waits for it polls as well. Losing one costs a poll interval.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time

import psycopg2

from outbox.side_connection import SideConnection

COALESCE_SECONDS = 0.005
"""Wakes that come in this time after a notification share the next one."""
PAUSES = 3
"""Of the time that a notification took: on a busy server it costs others more."""
IDLE_SECONDS = 2.0
"""After so long without work the connection is closed. It is less than the five seconds that DROP
DATABASE waits for other sessions to leave, so that test databases can be dropped."""
CLOSE_SECONDS = 1.0
ANSWER_SECONDS = 2.0
"""The server's own limit for a notification is a second."""

# A commit that notifies gets a transaction id, so it would flush the log to disk while it holds the
# lock. The hint is worth neither that nor a long wait. Both are set for this transaction alone, the
# one that several statements sent together make: behind a pooler the session is others' too.
_NOTIFY = """
SET LOCAL synchronous_commit TO off; SET LOCAL statement_timeout TO '1s';
SELECT pg_notify(channel, '') FROM unnest(%s::text[]) AS channel
"""

logger = logging.getLogger(__name__)


def wake(channel: str) -> None:
    """Send a hint to the listeners of the channel, soon. Never raises, never waits.

    Call it after the commit (`transaction.on_commit`): a listener that wakes earlier sees nothing.
    """
    try:
        _own_notifier().wake(channel)
    except RuntimeError as error:  # no thread to be had: the interpreter ends, or the OS is full
        logger.debug("no notification on %s: %s", channel, error)


def close() -> None:
    """Send what is waiting, end the thread, close the connection. A later wake starts anew."""
    notifier = _notifiers.pop(os.getpid(), None)
    if notifier is not None:
        notifier.close()


class Notifier:
    """The thread and the connection of one process. Both start with the first wake."""

    def __init__(self) -> None:
        self._waiting: set[str] = set()
        self._something_to_do = threading.Event()
        self._closing = False
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._connection = SideConnection()
        self._failing = False

    def wake(self, channel: str) -> None:
        self._waiting.add(channel)
        self._something_to_do.set()  # after the add: see _run
        if not self._runs():
            with self._starting:
                if not self._runs():
                    thread = threading.Thread(target=self._run, name="outbox-notifier", daemon=True)
                    thread.start()
                    self._thread = thread

    def _runs(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        self._closing = True
        self._something_to_do.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._closing or self._waiting:
            if not self._something_to_do.wait(IDLE_SECONDS if self._connection.is_open else None):
                self._connection.close()
                continue
            # Cleared before the set is read: a wake in between leaves the event set, and is seen in
            # the next turn. The other way round it would be lost.
            self._something_to_do.clear()
            channels = sorted(self._waiting)
            self._waiting.difference_update(channels)
            if channels:
                began = time.monotonic()
                self._notify(channels)
                time.sleep(min(COALESCE_SECONDS, PAUSES * (time.monotonic() - began)))
        self._connection.close()

    def _notify(self, channels: list[str]) -> None:
        reused = self._connection.is_open
        error = self._send(channels)
        if error is not None and reused:
            error = self._send(channels)  # the old connection had died unseen, a new one may do
        if error is not None and not self._failing:
            # Once: only waits get longer, but they stay so for ever if nobody is told.
            logger.warning("no notifications, polling finds the messages: %s", error)
        self._failing = error is not None

    def _send(self, channels: list[str]) -> psycopg2.Error | None:
        try:
            self._connection.run(_NOTIFY, [channels], seconds=ANSWER_SECONDS)
        except psycopg2.Error as error:
            self._connection.close()
            return error
        return None


_notifiers: dict[int, Notifier] = {}


def _own_notifier() -> Notifier:
    """Return the notifier of this process: a forked child has the object but not the thread.

    Made at the first wake and not at import, which may come before gevent patches `threading`.
    """
    process = os.getpid()
    # setdefault is atomic: of two threads that come first together, both get the same.
    return _notifiers.get(process) or _notifiers.setdefault(process, Notifier())


atexit.register(close)
