"""Django's connection settings, made from a PostgreSQL URL and the kind of the process."""

from __future__ import annotations

from typing import Any, Final

import psycopg2
from psycopg2.extensions import parse_dsn

from settings import env
from settings.process import ProcessKind

PLAIN_ENGINE: Final = "django.db.backends.postgresql"
POOLED_ENGINE: Final = "settings.geventpool"

# A peer that vanished without a word is noticed within a minute, on an idle connection and on one
# that waits for an answer alike; the kernel's own defaults are two hours and a quarter of one.
_KEEPALIVE: Final = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}

# Seconds after which the server gives up on a transaction whose client says nothing. The loops and
# the web process never think inside one for long, and a frozen one must free its rows. A task's
# body may think; so may a migration, or a person at a shell.
_IDLE_IN_TRANSACTION: Final[dict[ProcessKind, int]] = {
    "web": 10,
    "postprocess": 10,
    "relay": 10,
    "worker": 60,
    "command": 60,
}
# How often the server looks, during a statement, whether its client is still there. A killed worker
# whose task sits in a long statement holds its message's row for so long.
_CLIENT_CHECK: Final[dict[ProcessKind, int]] = {
    "web": 10,
    "postprocess": 10,
    "relay": 10,
    "worker": 1,
    "command": 10,
}
# A request has seconds: it must not hold its caller, and its connection of the pool, for as long as
# somebody else's migration takes. The other processes have nobody who waits for an answer.
_WEB_DEADLINES: Final = " -c lock_timeout=1s -c statement_timeout=5s"


def primary(process: ProcessKind) -> dict[str, Any]:
    """Return the settings of the alias `default`, which never connects to a server in recovery.

    Empty for a process that needs no database: Django then refuses to use it.
    """
    if process == "secrets":
        return {}
    # After a failover an old address may lead to a standby: work that is done there is work on old
    # data. libpq refuses such a server, and picks the right one when the URL names several.
    return _connection("DATABASE_URL", process, target_session_attrs="read-write")


def replica(process: ProcessKind) -> dict[str, Any] | None:
    """Return the settings of the alias `replica`, or None when no replica is given."""
    if process == "secrets" or not env.url("DATABASE_REPLICA_URL"):
        return None
    return _connection("DATABASE_REPLICA_URL", process)


def _connection(name: str, process: ProcessKind, **options: Any) -> dict[str, Any]:
    given = _parse(name)
    settings = {
        "NAME": given.pop("dbname"),
        "USER": given.pop("user", ""),
        "PASSWORD": given.pop("password", ""),
        "HOST": given.pop("host", ""),
        "PORT": given.pop("port", ""),
        **_policy(process),
    }
    timeouts = (
        f"-c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION[process]}s"
        f" -c client_connection_check_interval={_CLIENT_CHECK[process]}s"
        f"{_WEB_DEADLINES if process == 'web' else ''}"
    )
    defaults = {
        "application_name": f"pillarbox {process}",
        "connect_timeout": env.integer("DATABASE_CONNECT_TIMEOUT"),
        **_KEEPALIVE,
        **options,
    }
    # What the URL says wins. Of two settings of one name in `options` the server takes the last.
    server_options = f"{timeouts} {given.pop('options', '')}".strip()
    settings["OPTIONS"] |= {**defaults, **given, "options": server_options}
    return settings


def _policy(process: ProcessKind) -> dict[str, Any]:
    if process == "web":
        return {
            "ENGINE": POOLED_ENGINE,
            # The pool keeps connections, Django gives them back after each request.
            "CONN_MAX_AGE": 0,
            "OPTIONS": {
                "MAX_CONNS": env.integer("DATABASE_POOL_SIZE"),
                "POOL_TIMEOUT": env.integer("DATABASE_POOL_TIMEOUT"),
            },
        }
    return {
        "ENGINE": PLAIN_ENGINE,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {},
    }


def _parse(name: str) -> dict[str, Any]:
    """Read a URL as libpq does: sockets' folders, several hosts and all parameters included."""
    url = env.url(name)
    mistake = env.BadVariable(
        f"{name} must be a PostgreSQL URL that names a database, such as"
        " postgresql://user:password@host:5432/name, with special characters percent-encoded."
    )
    if not url.startswith(("postgresql://", "postgres://")):
        raise mistake
    try:
        parsed: dict[str, Any] = parse_dsn(url)
    except psycopg2.ProgrammingError:
        # libpq's message may quote the password: it is not passed on.
        raise mistake from None
    if not parsed.get("dbname"):
        raise mistake
    return parsed
