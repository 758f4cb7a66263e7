"""Other sessions on the test database, and its outages."""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import psycopg2
import pytest
from django.db import connection, connections
from psycopg2 import sql
from pytest_django import DjangoDbBlocker

from app.models import Category, Post, Tag
from outbox.routers import replica_reads
from tests.waiting import eventually

Sql = Callable[..., Any]


def parameters(**changes: Any) -> dict[str, Any]:
    """What libpq needs to reach the server of the test database."""
    return {**connection.get_connection_params(), **changes}


@pytest.fixture
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The test database in autocommit, for tests that write nothing: nothing is emptied after."""
    with django_db_blocker.unblock():
        yield
        connections.close_all()


@pytest.fixture
def process_environment(database: None) -> dict[str, str]:
    """The environment of a process of its own that works on the test database."""
    given = connection.settings_dict
    place = {"host": given["HOST"], "port": given["PORT"], "user": given["USER"]}
    if given["PASSWORD"]:
        place["password"] = given["PASSWORD"]
    url = f"postgresql:///{given['NAME']}?{urlencode(place)}"
    return {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "settings.test"}


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A database whose commits other sessions see, with an empty outbox before and after.

    `transactional_db` empties every table after each test; this takes a tenth of its time.
    """
    with django_db_blocker.unblock():
        yield
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM outbox_message; DELETE FROM outbox_history")


@pytest.fixture
def connect(database: None) -> Iterator[Callable[[], Any]]:
    """Opens further sessions in autocommit on the test database."""
    with contextlib.ExitStack() as opened:

        def connect() -> Any:
            raw = psycopg2.connect(**parameters())
            opened.callback(raw.close)
            raw.autocommit = True
            return raw

        yield connect


@pytest.fixture
def listen(connect: Callable[[], Any]) -> Callable[[str], Any]:
    """Opens a session that listens on a channel."""

    def listen(channel: str) -> Any:
        raw = connect()
        raw.cursor().execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        return raw

    return listen


@pytest.fixture
def heard() -> Callable[[Any, float], bool]:
    """Whether a listening session gets a notification within so many seconds; forgets it then."""

    def heard(raw: Any, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            raw.poll()
            if raw.notifies:
                raw.notifies.clear()
                return True
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            select.select([raw], [], [], left)

    return heard


@pytest.fixture
def maintenance(database: None) -> Iterator[Sql]:
    """Runs statements in another database of the server, so that outages do not reach them."""
    raw = psycopg2.connect(**parameters(dbname="postgres"))
    raw.autocommit = True

    def run(statement: str, *values: Any) -> Any:
        with raw.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else None

    yield run
    raw.close()


class Outage:
    """The database ends all its sessions and takes no new ones until it is over."""

    def __init__(self, run: Sql, database: str) -> None:
        self._run = run
        self._database = database

    def begin(self) -> None:
        self._allow("false")
        self.end_sessions()

    def end_sessions(self) -> None:
        self._run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            " AND backend_type = 'client backend'",  # and not an autovacuum's
            self._database,
        )

    def end(self) -> None:
        self._allow("true")

    def sessions(self) -> int:
        [[count]] = self._run(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
            " AND backend_type = 'client backend'",
            self._database,
        )
        return int(count)

    def _allow(self, allowed: str) -> None:
        self._run(f'ALTER DATABASE "{self._database}" WITH ALLOW_CONNECTIONS {allowed}')


@pytest.fixture
def outage(maintenance: Sql) -> Iterator[Outage]:
    outage = Outage(maintenance, connection.settings_dict["NAME"])
    yield outage
    outage.end()


def replay_everything() -> None:
    """Wait until the replica has what the primary has."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn()")
        [[position]] = cursor.fetchall()

    def replayed() -> bool:
        with replica_reads(), connections["replica"].cursor() as cursor:
            cursor.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position])
            [[answer]] = cursor.fetchall()
        return bool(answer)

    eventually(replayed)


@pytest.fixture
def replica_post(transactional_db: None) -> Post:
    """A Post with a tag and a category, as read from the replica."""
    written = Post.everything.create(source_id="1", title="a title")
    written.tags.add(Tag.objects.create(name="a tag"))
    written.categories.add(Category.objects.create(name="a category"))
    replay_everything()
    with replica_reads():
        read = Post.everything.get()
    assert read._state.db == "replica"
    return read
