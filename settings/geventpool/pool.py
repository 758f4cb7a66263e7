"""A pool that never opens more than it may, never waits for ever, and survives its connections."""

from __future__ import annotations

import logging
import select
import weakref
from typing import Any, Final

import gevent
import psycopg2
from django.core.exceptions import ImproperlyConfigured
from django.db.utils import OperationalError
from django_db_geventpool.backends.postgresql_psycopg2.base import PostgresConnectionPool
from gevent import monkey
from gevent.lock import BoundedSemaphore
from gevent.queue import Empty, LifoQueue
from psycopg2 import extensions

from outbox.hosts import connect_to_any
from settings.geventpool import wait

logger = logging.getLogger("django.geventpool")

# Not gevent's own, which would let others run between two looks at the pool.
_poll: Final = monkey.get_original("select", "poll")


class PoolExhausted(OperationalError):
    """All connections of the pool were in use for longer than a request may wait."""


class PermitPool(PostgresConnectionPool):  # type: ignore[misc] # untyped
    """Connections that greenlets borrow; a permit is held for each that is out.

    A permit comes back with its connection, whether whole, broken or closed, and also when the
    borrower forgets it and it is garbage. A connection is opened only by who holds a permit and
    finds none idle, so there are never more connections than permits.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float,
        isolation_level: int | None = None,
        **parameters: Any,
    ) -> None:
        if not wait.is_installed():
            raise ImproperlyConfigured(
                "settings.geventpool needs a cooperative psycopg2: each query would stop all"
                " greenlets. Only the web process uses it, through settings/gunicorn.py."
            )
        super().__init__(**parameters, connect=self._connect)
        self.name = name
        self.timeout = timeout
        self.isolation_level = isolation_level
        # The last one used is the next: what a burst opened beyond the usual need stays quiet.
        self.pool = LifoQueue()
        self.permits = BoundedSemaphore(self.maxsize)
        self._lent: weakref.WeakKeyDictionary[extensions.connection, weakref.finalize[Any, Any]]
        self._lent = weakref.WeakKeyDictionary()

    def get(self) -> extensions.connection:
        """Borrow a connection.

        Raises `PoolExhausted` after `timeout` seconds without a permit, and psycopg2's
        `OperationalError` when there is no idle connection and none can be opened.
        """
        if not self.permits.acquire(timeout=self.timeout):
            raise PoolExhausted(
                f"All {self.maxsize} connections of the pool {self.name!r} were in use for"
                f" {self.timeout} s. More of them: DATABASE_POOL_SIZE."
            )
        try:
            connection = self._idle() or self.create_connection()
            release = weakref.finalize(connection, self.permits.release)
            release.atexit = False
            self._lent[connection] = release
        except BaseException:
            self.permits.release()
            raise
        return connection

    def put(self, item: extensions.connection) -> None:
        """Take a connection back: a whole one for the next borrower, any other to be closed."""
        release = self._lent.pop(item, None)
        try:
            if release is not None and _clean(item):
                self.pool.put_nowait(item)
            else:
                self._discard(item)
        finally:
            # After the connection is back, or a waiting greenlet would open one too many.
            if release is not None:
                release()

    def create_connection(self) -> extensions.connection:
        """Open a connection, to each host within `connect_timeout`."""
        connection: extensions.connection = super().create_connection()
        if self.isolation_level is not None:
            connection.isolation_level = self.isolation_level
        self._conns.add(connection)
        return connection

    def _idle(self) -> extensions.connection | None:
        while True:
            try:
                connection: extensions.connection = self.pool.get_nowait()
            except Empty:
                return None
            if not connection.closed and (_is_silent(connection) or self._answers(connection)):
                return connection
            logger.info("The server closed an idle connection of the pool %r.", self.name)
            self._discard(connection)

    def _answers(self, connection: extensions.connection) -> bool:
        try:
            self.check_usable(connection)
        except psycopg2.Error:
            return False
        return _clean(connection)

    def _connect(self, **parameters: Any) -> extensions.connection:
        return connect_to_any(parameters, self._connect_to)

    def _connect_to(self, given: dict[str, Any]) -> extensions.connection:
        seconds = given.get("connect_timeout")  # libpq leaves it to cooperative callers
        with gevent.Timeout(seconds and float(seconds), self._unreachable(seconds)):
            connection: extensions.connection = psycopg2.connect(**given)
        return connection

    def _discard(self, connection: extensions.connection) -> None:
        self._conns.discard(connection)
        connection.close()

    def _unreachable(self, seconds: float | None) -> psycopg2.OperationalError:
        return psycopg2.OperationalError(
            f"No connection for the pool {self.name!r} within {seconds} s."
        )


def _is_silent(connection: extensions.connection) -> bool:
    # An idle server has nothing to say but goodbye. Its silence saves the question that the pool
    # would otherwise ask, with a round trip, before every request.
    poll = _poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def _clean(connection: extensions.connection) -> bool:
    """Roll back what was left open; tell whether the connection can be used again."""
    if connection.closed:
        return False
    status = connection.info.transaction_status
    if status in (extensions.TRANSACTION_STATUS_INTRANS, extensions.TRANSACTION_STATUS_INERROR):
        try:
            connection.rollback()
        except psycopg2.Error:
            return False
        status = connection.info.transaction_status
    if status != extensions.TRANSACTION_STATUS_IDLE:
        return False
    connection.autocommit = True
    return True
