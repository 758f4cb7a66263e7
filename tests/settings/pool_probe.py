"""Requests to a pool, and questions about it to the server; after monkey-patching."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import gevent
import psycopg2
from django.db import connections
from django.db.utils import Error

from settings import databases

PRIMARY = databases.primary("web")
POOL_OPTIONS = {"MAX_CONNS", "POOL_TIMEOUT"}
CONNECTIONS = 4
PATIENCE = float(sys.argv[2])
"""Seconds after which a wait counts as endless."""
WAIT_SECONDS = 20.0
"""How long a scenario waits for what has to be there before it goes on."""


def query(alias: str, sql: str = "SELECT 1") -> Any:
    """One request: borrow, ask, give back."""
    connection = connections[alias]
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]
    finally:
        connection.close()


def outcome(alias: str, sql: str = "SELECT 1") -> str:
    try:
        with gevent.Timeout(PATIENCE):
            query(alias, sql)
    except gevent.Timeout:
        return "endless wait"
    except Error as error:
        return f"{type(error).__name__}: {error}".strip()
    return "ok"


def outcomes(requests: int, alias: str, sql: str = "SELECT 1") -> list[str]:
    greenlets = [gevent.spawn(outcome, alias, sql) for _ in range(requests)]
    gevent.joinall(greenlets)
    return [greenlet.value for greenlet in greenlets]


def outside(sql: str, *parameters: str) -> Any:
    """Ask the server on a connection that belongs to no pool."""
    place = {name: value for name, value in PRIMARY["OPTIONS"].items() if name not in POOL_OPTIONS}
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST"}
    place |= {name: PRIMARY[key] for name, key in names.items()} | {"port": PRIMARY["PORT"]}
    connection = psycopg2.connect(**{n: v for n, v in place.items() if v != ""})
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchone()[0]
    finally:
        connection.close()


def backends(alias: str, state: str = "%") -> int:
    return outside(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND state LIKE %s",
        name_of(alias),
        state,
    )


def until(condition: Callable[[], bool]) -> None:
    with gevent.Timeout(WAIT_SECONDS):
        while not condition():
            gevent.sleep(0.01)


def terminate(alias: str) -> int:
    return outside(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s",
        name_of(alias),
    )


def name_of(alias: str) -> str:
    return f"pool {os.getpid()} {alias}"
