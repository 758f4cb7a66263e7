"""A guard on the connection to the replica: it names the reads that no router was asked about.

`.using("replica")` passes by every router, and so do generic relations and `get_next_by_...()` of
an object that came from the replica. In a task they would read old data in silence.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from outbox.conf import outbox_settings
from outbox.exceptions import OutboxError
from outbox.routers import replica_allowed

LOG_SECONDS = 60.0
_SHOWN_CHARACTERS = 200

logger = logging.getLogger(__name__)


class ReplicaRead(OutboxError):
    """The replica was read where only the primary may be: its data may be old."""


class ReplicaGuard:
    """An execute wrapper that counts the forbidden reads, and raises `ReplicaRead` if told to.

    `OUTBOX["REPLICA_GUARD"]` is `raise`, for tests, or `count`: one line a minute in the log.
    """

    def __init__(self) -> None:
        self.forbidden = 0
        """Forbidden reads of this process so far."""
        self._logged_at = float("-inf")
        self._logged = 0

    def __call__(
        self,
        execute: Callable[[str, Any, bool, dict[str, Any]], Any],
        sql: str,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        outbox = outbox_settings()
        if not replica_allowed(outbox.database):
            self.forbidden += 1
            # The text holds placeholders, not values: it is safe to show.
            shown = str(sql)[:_SHOWN_CHARACTERS]
            if outbox.replica_guard == "raise":
                raise ReplicaRead(
                    "The replica may be read only in a web request, outside a transaction, the"
                    " admin and outbox.primary(). Read the primary instead, for example with"
                    f" .using({outbox.database!r}). The query: {shown}"
                )
            self._log(shown)
        return execute(sql, params, many, context)

    def _log(self, shown: str) -> None:
        now = time.monotonic()
        if now - self._logged_at < LOG_SECONDS:
            return
        count, self._logged = self.forbidden - self._logged, self.forbidden
        self._logged_at = now
        logger.warning("%d forbidden reads of the replica, the last: %s", count, shown)


guard = ReplicaGuard()


def install() -> None:
    """Put the guard on the replica's connection, now and after every reconnect."""
    connection_created.connect(_watch, dispatch_uid="outbox.replica_guard")


def _watch(connection: BaseDatabaseWrapper, **_signal: Any) -> None:
    replica = outbox_settings().replica
    wrappers = connection.execute_wrappers
    if connection.alias == replica and guard not in wrappers:
        wrappers.append(guard)
