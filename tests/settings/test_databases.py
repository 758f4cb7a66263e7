from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from django.db.backends.postgresql.base import DatabaseWrapper

from settings import databases, env
from settings.process import ProcessKind


def ask(given: dict[str, Any], sql: str) -> Any:
    """Ask on a connection made from the settings of one alias."""
    parameters = DatabaseWrapper({**given, "TIME_ZONE": None}).get_connection_params()
    connection = psycopg2.connect(**parameters)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://ann%40home:s%2Fcret@db.example:5433/shop",
            {"USER": "ann@home", "PASSWORD": "s/cret", "HOST": "db.example", "PORT": "5433"},
        ),
        ("postgresql://%2Ftmp%2FAn%20Ode/shop", {"HOST": "/tmp/An Ode", "USER": "", "PORT": ""}),
        ("postgresql:///shop?host=/tmp/x&port=7", {"HOST": "/tmp/x", "PORT": "7"}),
        ("postgres://one:1,two:2/shop", {"HOST": "one,two", "PORT": "1,2"}),
        ("postgresql://[::1]/shop", {"HOST": "::1"}),
    ],
)
def test_a_url_is_read_as_libpq_reads_it(
    monkeypatch: pytest.MonkeyPatch, url: str, expected: dict[str, str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    given = databases.primary("command")
    assert given["NAME"] == "shop"
    assert {name: given[name] for name in expected} == expected


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ann:hunter2@db/shop",
        "hunter2",
        "postgresql://ann:hunter2@db",
        "postgresql://ann:hunter2%zz@db/shop",
        "postgresql://ann@db/shop?secret=hunter2",
    ],
)
def test_a_url_that_cannot_be_used_is_named_and_its_password_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(env.BadVariable) as caught:
        databases.primary("command")
    assert "DATABASE_URL" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_options_of_the_url_win_over_the_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "DATABASE_URL",
        "postgresql:///shop?connect_timeout=9&application_name=mine"
        "&options=-c%20idle_in_transaction_session_timeout%3D1s",
    )
    options = databases.primary("relay")["OPTIONS"]
    assert options["connect_timeout"] == "9"
    assert options["application_name"] == "mine"
    assert options["options"].endswith("-c idle_in_transaction_session_timeout=1s")


@pytest.mark.parametrize(
    ("process", "idle", "check"), [("worker", "1min", "1s"), ("relay", "10s", "10s")]
)
def test_the_server_bounds_what_a_vanished_client_can_hold(
    process: ProcessKind, idle: str, check: str
) -> None:
    given = databases.primary(process)
    assert ask(given, "SHOW idle_in_transaction_session_timeout") == idle
    assert ask(given, "SHOW client_connection_check_interval") == check
    assert ask(given, "SHOW application_name") == f"pillarbox {process}"


@pytest.mark.parametrize("alias", [databases.primary, databases.replica])
def test_only_the_web_process_has_deadlines_for_locks_and_statements(
    alias: Callable[[ProcessKind], dict[str, Any] | None],
) -> None:
    def deadlines(process: ProcessKind) -> tuple[str, str]:
        given = alias(process)
        assert given is not None
        # Asked without the pool, whose own options libpq does not know.
        options = {"options": given["OPTIONS"]["options"]}
        plain = {**given, "OPTIONS": options}
        return ask(plain, "SHOW lock_timeout"), ask(plain, "SHOW statement_timeout")

    assert deadlines("web") == ("1s", "5s")
    assert deadlines("worker") == deadlines("command") == ("0", "0")


def test_the_primarys_settings_refuse_a_server_in_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", os.environ["DATABASE_REPLICA_URL"])
    with pytest.raises(psycopg2.OperationalError, match="read-only"):
        ask(databases.primary("relay"), "SELECT 1")


def test_the_replicas_settings_accept_a_server_in_recovery() -> None:
    given = databases.replica("command")
    assert given is not None
    assert ask(given, "SELECT pg_is_in_recovery()") is True


def test_without_its_url_there_is_no_replica(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_REPLICA_URL", raising=False)
    assert databases.replica("web") is None


def test_only_the_web_process_has_a_pool() -> None:
    assert databases.primary("web")["ENGINE"] == databases.POOLED_ENGINE
    assert databases.primary("web")["CONN_MAX_AGE"] == 0
    assert databases.primary("worker")["ENGINE"] == databases.PLAIN_ENGINE
    assert databases.primary("worker")["CONN_MAX_AGE"] is None
    assert databases.primary("worker")["CONN_HEALTH_CHECKS"] is True
