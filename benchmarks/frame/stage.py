"""Where benchmarks run: the servers of ``deploy.devstack exec`` and a database of its own."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import django
import psycopg2
from psycopg2 import sql

from benchmarks.frame.processor import Meter
from deploy.devstack.state import State

START = "run this through python -m deploy.devstack exec, as `make bench` does"

DATABASE = "benchmark"


class NoServers(Exception):
    """The servers are not there, or not those that devstack starts."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Running servers and a fresh database with the service's tables.

    `folder` is for what a benchmark writes, and is gone after it. `url` names the database,
    `broker_url` the broker, `postgres` and `broker` are the pids of the servers.
    """

    folder: Path
    url: str
    broker_url: str
    postgres: int
    broker: int
    _superuser_url: str

    def meter(self, **kinds: Iterable[int]) -> Meter:
        """Of the servers' processor time and of that of others, by their pids.

        ``with stage.meter(web=[pid], load=[pid]).turn() as turn: ...`` and then
        ``turn.slice(units)``. `os.getpid()` stands for the benchmark itself and all it has started
        that no other kind names, pgbench for one.
        """
        return Meter({"postgres": [self.postgres], "broker": [self.broker], **kinds})

    def connect(self, url: str = "") -> Any:
        """A connection of psycopg2's, in autocommit, to the database or to that of `url`."""
        connection = psycopg2.connect(url or self.url, connect_timeout=10)
        connection.autocommit = True
        return connection

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own; the rows, if it gives any."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def empty(self) -> None:
        """Take all rows out of the service's tables, dead ones too."""
        from django.apps import apps

        tables = ", ".join(
            f'"{model._meta.db_table}"'
            for label in ("app", "outbox")
            for model in apps.get_app_config(label).get_models(include_auto_created=True)
            if model._meta.managed
        )
        self.execute(f"TRUNCATE {tables} RESTART IDENTITY CASCADE")

    def settle(self) -> None:
        """Write out what is dirty and count the rows anew, so that neither falls into a turn."""
        self.execute("VACUUM ANALYZE")
        with contextlib.closing(self.connect(self._superuser_url)) as connection:
            connection.cursor().execute("CHECKPOINT")

    @contextmanager
    def another_database(self, name: str) -> Iterator[str]:
        """A new and empty one for somebody else's tables, dropped at the end: its URL."""
        self.drop_database(name)
        with contextlib.closing(self.connect()) as connection:
            connection.cursor().execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield named(self.url, name)
        finally:
            self.drop_database(name)

    def drop_database(self, name: str) -> None:
        """End who is connected, too: only a superuser may end a worker of autovacuum."""
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        with contextlib.closing(self.connect(self._superuser_url)) as connection:
            connection.cursor().execute(drop)


def set_up() -> Path:
    """Make Django ready: the folder of the servers. Raises NoServers."""
    stack_dir = Path(os.environ.get("STACK_DIR", ""))
    if not os.environ.get("DATABASE_URL") or not (stack_dir / "pids" / "postgres").exists():
        raise NoServers(f"no PostgreSQL of devstack's; {START}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")
    django.setup()
    return stack_dir


@contextmanager
def stage() -> Iterator[Stage]:
    """Set Django up, make the database, and drop it at the end. Raises NoServers."""
    stack_dir = set_up()
    from django.db import connections
    from django.test.utils import setup_databases, teardown_databases

    from tests.service import database_url

    # Not that of the tests, which may run a benchmark.
    connections.settings["default"]["TEST"]["NAME"] = DATABASE
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            url = database_url("default")
            yield Stage(
                folder=Path(folder),
                url=url,
                broker_url=os.environ["CELERY_BROKER_URL"],
                postgres=_pid(stack_dir, "postgres"),
                broker=_pid(stack_dir, "broker"),
                _superuser_url=_superuser(url, State(stack_dir / "state.json")),
            )
    finally:
        teardown_databases(databases, verbosity=0)


def named(url: str, database: str) -> str:
    """The same server's URL with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _pid(stack_dir: Path, name: str) -> int:
    try:
        return int((stack_dir / "pids" / name).read_text())
    except OSError as error:
        raise NoServers(f"no {name} of devstack's; {START}") from error


def _superuser(url: str, state: State) -> str:
    parts = urlsplit(url)
    where = f"postgres:{state.password('superuser')}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=where, path="/postgres"))
