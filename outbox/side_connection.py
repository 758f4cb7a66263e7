"""A connection to the outbox's database beside Django's own, and beside a pool's.

A pool's connections are for requests, and its exhaustion must not silence whoever works beside
them. Every wait has a deadline, in a thread as in a greenlet: libpq has one of its own neither for
an answer nor, where psycopg2 is made cooperative, for a connection.
"""

from __future__ import annotations

import contextlib
import select
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import psycopg2
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg2 import extensions

from outbox.conf import outbox_settings
from outbox.hosts import connect_to_any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONNECT_SECONDS = 5.0


class SideConnection:
    """One session in autocommit, opened with the first statement and again after it was lost.

    For one thread.
    """

    def __init__(self, connect_seconds: float | None = None) -> None:
        """Connect within `connect_seconds` a host; by default what the settings say, or 5."""
        self._connect_seconds = connect_seconds
        self._raw: extensions.connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a session, as far as is known."""
        return self._raw is not None and not self._raw.closed

    def run(
        self,
        statements: str,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        seconds: float,
    ) -> list[tuple[Any, ...]]:
        """Run statements as one transaction, and return the rows of the last one.

        Raises psycopg2's errors, and its `OperationalError` when there is no answer within
        `seconds`: the session is then given up.
        """
        raw = self._raw if self._raw is not None and self.is_open else self._connect()
        cursor = raw.cursor()
        try:
            cursor.execute(statements, parameters or None)
            _finish(raw, seconds)
        except BaseException as error:
            # What the server says about the statement leaves the session whole. After anything
            # else, a greenlet that is killed in its wait included, an answer may still be coming.
            if getattr(error, "pgcode", None) is None or raw.closed:
                self.close()
            raise
        return list(cursor.fetchall()) if cursor.description else []

    def close_if_lost(self) -> None:
        """Look, without a question to the server, whether it has ended the idle session."""
        if self._raw is None:
            return
        try:
            self._raw.poll()  # reads what the server has said, which is nothing but goodbye
            self._raw.poll()  # finds that nothing follows
        except psycopg2.Error:
            self.close()

    def cancel(self) -> None:
        """Ask the server to give up what runs in the session, from any thread.

        A server that hangs holds this up: libpq has no deadline for it.
        """
        raw = self._raw
        if raw is not None:
            with contextlib.suppress(psycopg2.Error):
                raw.cancel()

    def close(self) -> None:
        """End the session, whatever state it is in. A later `run` opens another."""
        raw, self._raw = self._raw, None
        if raw is not None:
            with contextlib.suppress(psycopg2.Error):
                raw.close()

    def _connect(self) -> extensions.connection:
        return connect_to_any(_parameters(), self._connect_to)

    def _connect_to(self, given: dict[str, Any]) -> extensions.connection:
        self.close()
        seconds = self._connect_seconds or float(given.get("connect_timeout", CONNECT_SECONDS))
        raw: extensions.connection = psycopg2.connect(**given, async_=True)
        self._raw = raw
        try:
            _finish(raw, seconds)
        except BaseException:
            self.close()
            raise
        return raw


def _parameters() -> dict[str, Any]:
    # Django's own, also where a pool's backend adds others: of the settings, libpq's are written in
    # small letters, a pool's in capitals.
    wrapper = cast("DatabaseWrapper", connections[outbox_settings().database])
    given = DatabaseWrapper.get_connection_params(wrapper)
    return {name: value for name, value in given.items() if name.islower()}


def _finish(raw: extensions.connection, seconds: float) -> None:
    """Wait until libpq has done what it was asked for."""
    end = monotonic() + seconds
    while (state := raw.poll()) != extensions.POLL_OK:
        # Not select(), which knows no file numbers above 1,023. gevent puts its own in its place.
        waiting = select.poll()
        waiting.register(
            raw.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
        )
        if not waiting.poll(max(0.0, end - monotonic()) * 1000):
            raise psycopg2.OperationalError(f"no answer of the database within {seconds:g} s")
