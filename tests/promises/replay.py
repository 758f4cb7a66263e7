"""The replica's replay, stopped and started by hand: a lag of exactly what a test wants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from django.db import connection, connections

from tests.waiting import eventually


class Replay:
    """The replay of the real replica, steered over a session of its own."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def _ask(self, statement: str, *values: Any) -> Any:
        with self._session.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchone()[0]

    def pause(self) -> None:
        """Let the replica reach the primary, and stop it there."""
        self.catch_up()
        self._ask("SELECT pg_wal_replay_pause() IS NULL")
        # The request is not yet the pause: the server is asked until it says so.
        eventually(lambda: self._ask("SELECT pg_get_wal_replay_pause_state()") == "paused")

    def resume(self) -> None:
        """Let it go on, and wait until it has what the primary has."""
        self.go_on()
        self.catch_up()

    def go_on(self) -> None:
        self._ask("SELECT pg_wal_replay_resume() IS NULL")

    def catch_up(self) -> None:
        """Wait until the replica has what the primary has."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_lsn()::text")
            [position] = cursor.fetchone()
        eventually(lambda: self._ask("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", position))


@contextmanager
def steered() -> Iterator[Replay]:
    """The replay, going on again at the end whatever happens."""
    session = psycopg2.connect(**connections["replica"].get_connection_params())
    session.autocommit = True
    replay = Replay(session)
    try:
        yield replay
    finally:
        replay.go_on()
        session.close()
