"""How much waits and how late it is, as a front door samples it: about once a second, for ever."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import psycopg2

from outbox import read_statements, registry
from outbox.watermark import START

if TYPE_CHECKING:
    from outbox.side_connection import SideConnection

ANSWER_SECONDS = 2.0
SHARE = 0.02
"""Of the time that the looks from the start of each index may take."""
NOW = float("inf")
"""A mark that stays as close behind the clock as a mark may come."""

# For this transaction alone: behind a pooler the session is others' too.
_BRIEFLY = "SET LOCAL statement_timeout TO '1s'; SET LOCAL lock_timeout TO '500ms';"


class ReadOnlyServer(psycopg2.OperationalError):  # type: ignore[misc]  # untyped
    """The server has become one that messages can only be read from."""


class Waiting:
    """Counts up to a limit what waits to be prepared or sent, each time it is asked.

    It begins at the oldest message that it found waiting the last time. What is done has left dead
    entries before it: while a forgotten transaction holds those, a look from the start takes longer
    with each message that was ever sent, and in the end longer than it may. So those are rare, and
    only they see a message that committed long after it was written.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._mark = START
        self._from_start_at = monotonic()

    def sample(self, connection: SideConnection) -> tuple[int, float]:
        """How many wait, up to the limit, and the lateness in seconds.

        It is that of the oldest due message that waits for its first preparation; 0.0 if none does,
        or only behind a thousand of types that are not prepared here.
        Raises psycopg2's errors, the server's after a second and within three in any case, and
        `ReadOnlyServer`.
        """
        began = monotonic()
        if began >= self._from_start_at:
            try:
                return self._look(connection, START)
            except psycopg2.errors.QueryCanceled:
                if self._mark == START:
                    self._mark = NOW
            finally:
                took = monotonic() - began
                self._from_start_at = began + took / SHARE
        return self._look(connection, self._mark)

    def _look(self, connection: SideConnection, mark: float) -> tuple[int, float]:
        parameters = {"limit": self._limit, "mark": mark}
        [(number, oldest, late, read_only)] = connection.run(
            _BRIEFLY + read_statements.WAITING,
            parameters | {"event_types": registry.prepared_event_types()},
            seconds=ANSWER_SECONDS,
        )
        if read_only:
            connection.close()  # by a new one, the server that takes writes may be found
            raise ReadOnlyServer("the server takes no writes")
        if number < self._limit:  # or what lies beyond the limit may be older
            self._mark = NOW if oldest is None else oldest
        return number, late or 0.0
