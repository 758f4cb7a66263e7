"""A worker's way through an outage of its database: what is nobody's fault spends no attempt."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

from celery.worker import state as worker
from django.db import InterfaceError, OperationalError, connections
from psycopg2 import errorcodes

from outbox import store
from outbox.conf import outbox_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.backends.base.base import BaseDatabaseWrapper

    from outbox.message import Message

T = TypeVar("T")

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
"""How often a worker looks whether its database is back."""
PATIENCE_SECONDS = 90.0
"""How long it waits with a message in hand: longer than a session lives whose client is gone."""
TRUSTED_SECONDS = 1.0
"""A session that has answered so short a time ago is used without a look at it."""

LOST = (InterfaceError, OperationalError)
_SERVER_LEAVES = (errorcodes.CLASS_CONNECTION_EXCEPTION, errorcodes.ADMIN_SHUTDOWN[:3])


@dataclass(slots=True)
class Held:
    """What a try has in hand, and whether it has lost it."""

    message: Message | None = None
    """The row as it stands if the connection is lost; None while nothing has been taken."""
    counted: bool = False
    """Whether this try is in the row's attempts: a claim's or the worker's own count."""
    settled: bool = False
    """Whether it is written, and committed, what became of the message."""
    _session: object = None

    def begin(self, *, trusting: bool) -> None:
        """Connect, and remember to what. Waits while the database is away, or raises its error.

        If it may be `trusting`, a session that was used just now is not asked whether it is there.
        """
        connection: Any = _connection()
        if trusting and _used.session is connection.connection and monotonic() < _used.until:
            connection.health_check_done = True  # or Django would ask
        else:
            insist(_use)
        self._session = connection.connection

    def end(self) -> None:
        """The session has answered to the last."""
        _used.session, _used.until = self._session, monotonic() + TRUSTED_SECONDS

    def is_lost(self) -> bool:
        """Whether the connection is gone or another one, and with it what was not committed."""
        connection = _connection()
        if self.settled or self.message is None or connection.in_atomic_block:
            return False  # a block that is still open is a test's
        # Django connects anew at the end of a transaction that it could not roll back.
        return connection.connection is not self._session or not connection.is_usable()

    def give_back(self, error: str, *, delay: float, limit: int) -> None:
        """Undo the try once the database is back, unless another has taken the message since.

        Lost once more it counts, since it may be what crashes the server. The session that was
        lost may live on at the server for a while, and hold the row.
        """
        message, counted = self.message, self.counted
        if message is None:
            return
        policy: dict[str, Any] = {"counted": counted, "delay": delay, "limit": limit}
        is_as_left = partial(store.is_as_left, message, counted=counted)
        give_back = partial(store.give_back, message, error, **policy)
        end = monotonic() + PATIENCE_SECONDS
        with suppress(*LOST):
            while insist(is_as_left, end):
                if state := insist(give_back, end):
                    logger.warning("outbox.task %s %s: it lost its database", state, message.id)
                    return
                if monotonic() >= end or _is_stopping():
                    return
                sleep(PAUSE_SECONDS)


class _Used(threading.local):
    """The session of this thread that was used last, and until when it is trusted."""

    session: object = None
    until = 0.0


_used = _Used()


def _connection() -> BaseDatabaseWrapper:
    return connections[outbox_settings().database]


def _use() -> None:
    # A connection that died while it was idle looks like any other until it is used. Where Django
    # is told to look at connections, it does so itself: twice would be a round trip for nothing.
    connection = _connection()
    if connection.settings_dict["CONN_HEALTH_CHECKS"]:
        connection.close_if_health_check_failed()
        connection.ensure_connection()
    else:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")


def is_outage(error: BaseException | None) -> bool:
    """Whether the error is of a connection that was lost or could not be made."""
    if not isinstance(error, LOST):
        return False
    code = getattr(error.__cause__, "pgcode", None)
    return code is None or code.startswith(_SERVER_LEAVES)


def drop_lost_connections() -> None:
    """Close the connections that had errors and are lost; idle ones are looked at when used."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:  # of a test case, which must keep it
            connection.close_if_unusable_or_obsolete()


def insist(act: Callable[[], T], end: float | None = None) -> T:
    """Do what needs the database; if it is away again and again until it is back.

    `end`, of the monotonic clock, is when the last try is made: PATIENCE_SECONDS from now, or when
    the worker is to stop. Then the error is raised.
    """
    end = monotonic() + PATIENCE_SECONDS if end is None else end
    told = False
    while True:
        try:
            return act()
        except LOST as error:
            if not is_outage(error) or monotonic() >= end or _is_stopping():
                raise
        if not told:
            logger.warning("outbox.task waits for the database")
            told = True
        sleep(PAUSE_SECONDS)
        drop_lost_connections()


def _is_stopping() -> bool:
    """Whether this process was told to stop; a child of prefork's pool never knows."""
    # An exit code says that it is to stop, and 0 is one.
    words: tuple[object, object] = (worker.should_stop, worker.should_terminate)
    return any(word is not None and word is not False for word in words)
