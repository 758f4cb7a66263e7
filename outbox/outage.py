"""A worker's way through an outage of its database: what is nobody's fault spends no attempt."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TYPE_CHECKING

from celery.worker import state
from django.db import InterfaceError, OperationalError, connections

from outbox.conf import outbox_settings

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from outbox.message import Message

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.5
"""How often a worker looks whether its database is back."""
PATIENCE_SECONDS = 300.0
"""How long a worker waits for its database with a message in hand; after that it is sent again."""


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

    def begin(self) -> None:
        """Connect, and remember to what. Raises OperationalError while the database is away."""
        connection = _connection()
        connection.ensure_connection()
        self._session = connection.connection

    def is_lost(self) -> bool:
        """Whether the connection is gone or another one, and with it what was not committed."""
        connection = _connection()
        if self.settled or connection.in_atomic_block:  # a test's, which is not ours to judge
            return False
        # Django connects anew at the end of a transaction that it could not roll back.
        return connection.connection is not self._session or not connection.is_usable()


def _connection() -> BaseDatabaseWrapper:
    return connections[outbox_settings().database]


def drop_lost_connections() -> None:
    """Close the connections that had errors and are lost; idle ones are looked at when used."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:  # of a test case, which must keep it
            connection.close_if_unusable_or_obsolete()


def is_over(end: float) -> bool:
    """Wait for the database until `end`, of the monotonic clock, or until the worker is to stop.

    False if it is away still.
    """
    logger.warning("outbox.task waits for the database")
    connection = _connection()
    while True:
        drop_lost_connections()
        with suppress(OperationalError, InterfaceError):
            connection.ensure_connection()
            return True
        if monotonic() >= end or _is_stopping():
            return False
        sleep(PAUSE_SECONDS)


def _is_stopping() -> bool:
    # An exit code says that it is to stop, and 0 is one.
    words: tuple[object, object] = (state.should_stop, state.should_terminate)
    return any(word is not None and word is not False for word in words)
