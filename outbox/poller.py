"""The loop around a step that takes work from the database.

The poller owns stop, sleep, errors and wake-up; the step owns the work. It knows neither rows nor
brokers. Polling is the truth: a notification only shortens the wait, and may be lost.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

from outbox import systemd
from outbox.conf import outbox_settings
from outbox.stop import StopSignal

FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 5.0
QUIET_SECONDS = 0.005
"""After so long without a notification there is time for what could wait."""
READ_ONLY_SQL_TRANSACTION = "25006"
"""What a server in recovery answers to LISTEN and to every write."""

logger = logging.getLogger(__name__)


class Poller:
    """Calls `step` until SIGTERM or SIGINT; the second signal kills.

    `step` answers one question, "is there more?": True is called again at once, False after
    `interval` seconds, a notification on `channel`, or a signal. It must end its transactions. A
    long one delays the stop. `on_stop` runs once, after the last step of a clean end: the place to
    give unstarted claims back.

    While the database is lost the poller backs off and goes on. Any other exception of the step
    ends the process, with a traceback, and its supervisor starts it again.

    Given a `stop`, the step can look at it too, and leave what it has not begun.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], bool],
        *,
        interval: float,
        channel: str,
        on_stop: Callable[[], None] | None = None,
        on_quiet: Callable[[], None] | None = None,
        stop: StopSignal | None = None,
    ) -> None:
        self._name = name
        self._step = step
        self._channel = channel
        self._on_stop = on_stop
        self._on_quiet = on_quiet
        self._alias = outbox_settings().database
        self._stop = stop or StopSignal()
        self._listening: Any = None
        self._ready = False
        self._failures = 0
        watchdog = systemd.watchdog_interval()
        self._longest_wait = min(LONGEST_RETRY_SECONDS, watchdog or LONGEST_RETRY_SECONDS)
        self._interval = min(interval, watchdog or interval)
        self._watchdog = watchdog
        self._fed_at = float("-inf")

    def run(self) -> None:
        """Step until a signal comes, or `stop()` is called."""
        self._loop(self._step, lambda: False)

    def stop(self) -> None:
        """Do what the first signal does; from any thread."""
        self._stop.request()

    def drain(self, unfinished: Callable[[], int], patience: float = 30.0) -> bool:
        """Step until `unfinished()`, the number of rows still owed, is zero: True.

        False when there was no progress for `patience` seconds, or a signal came. Progress is a
        step that has more, or a smaller number than at the last look.
        """
        deadline = time.monotonic() + patience
        last = float("inf")
        drained = False

        def step() -> bool:
            nonlocal deadline, last, drained
            more = self._step()
            if not more and self._on_quiet is not None:
                self._on_quiet()  # what waits for quiet is not finished
            left = float("inf") if more else unfinished()
            if more or left < last:
                deadline = time.monotonic() + patience
            drained, last = left == 0, left
            return more or drained

        self._loop(step, lambda: drained or time.monotonic() >= deadline)
        return drained

    def _loop(self, step: Callable[[], bool], finished: Callable[[], bool]) -> None:
        with self._stop.caught():
            while not (self._stop.requested or finished()):
                try:
                    self._turn(step)
                except (DatabaseError, InterfaceError) as error:
                    if not self._is_loss(error):
                        raise
                    self._lost(error)
            systemd.notify("STOPPING=1")
            self._end()

    def _turn(self, step: Callable[[], bool]) -> None:
        self._listen()
        more = step()
        self._succeeded()
        if not more:
            self._rest()
            self._feed_watchdog()

    def _rest(self) -> None:
        if self._on_quiet is not None:
            if self._wait(min(QUIET_SECONDS, self._interval)):
                return
            self._on_quiet()
        self._wait(self._interval)

    def _listen(self) -> Any:
        """Return the raw connection, listening. LISTEN is refused by a server in recovery."""
        connection = self._connection
        connection.ensure_connection()
        raw: Any = connection.connection
        if raw is not self._listening:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {connection.ops.quote_name(self._channel)}")
            self._listening = raw
        return raw

    def _wait(self, seconds: float) -> bool:
        """Wait for the time, or less: True if a notification or a stop came."""
        deadline = time.monotonic() + seconds
        raw = self._listen()
        if raw.info.transaction_status != TRANSACTION_STATUS_IDLE:
            # Sleeping in it would hold back vacuum for the whole database, and our notifications.
            raise RuntimeError(f"{self._name}: the step left a transaction open")
        while not self._stop.requested:
            # What came in during a query is read already, and the socket stays silent about it.
            with self._connection.wrap_database_errors:
                raw.poll()
            if raw.notifies:
                raw.notifies.clear()
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self._stop.sleep(left, raw)
        return True

    def _succeeded(self) -> None:
        if not self._ready:
            systemd.notify("READY=1\nSTATUS=working")
            self._ready = True
        elif self._failures:
            systemd.notify("STATUS=working")
        if self._failures:
            logger.info("%s: the database is back", self._name)
        self._failures = 0
        self._feed_watchdog()

    def _feed_watchdog(self) -> None:
        """Called where the loop turns, and nowhere else: a step that hangs must starve it."""
        now = time.monotonic()
        if self._watchdog is not None and now - self._fed_at >= self._watchdog / 2:
            systemd.notify("WATCHDOG=1")
            self._fed_at = now

    def _is_loss(self, error: DatabaseError | InterfaceError) -> bool:
        """Whether trying again on a new connection makes sense."""
        if isinstance(error, OperationalError | InterfaceError):
            return True
        raw: Any = self._connection.connection
        if raw is not None and raw.closed:  # libpq names some broken connections only DatabaseError
            return True
        return getattr(error.__cause__, "pgcode", None) == READ_ONLY_SQL_TRANSACTION

    def _lost(self, error: Exception) -> None:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if not self._failures:
            logger.warning("%s: the database is lost: %s", self._name, reason)
        status = f"STATUS=waiting for the database: {reason}"
        # A start may take as long as the outage: without this, systemd would end it on the way.
        systemd.notify(status if self._ready else f"{status}\n{systemd.MORE_TIME}")
        self._hang_up()
        bound = min(self._longest_wait, FIRST_RETRY_SECONDS * 2.0 ** min(self._failures, 10))
        self._failures += 1
        # Jitter, so that many processes do not meet a server that has just come back all at once.
        self._stop.sleep(bound * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load
        self._feed_watchdog()

    def _end(self) -> None:
        try:
            if self._on_stop is not None:
                self._on_stop()
        except (DatabaseError, InterfaceError) as error:
            if not self._is_loss(error):
                raise
            logger.warning("%s: stopped without its database: %s", self._name, error)
        self._hang_up()

    def _hang_up(self) -> None:
        self._listening = None
        if not self._connection.in_atomic_block:
            self._connection.close()

    @property
    def _connection(self) -> BaseDatabaseWrapper:
        return connections[self._alias]
