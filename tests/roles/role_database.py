"""A database of its own whose tables belong to one role and are used by four others."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
SQL = (ROOT / "deploy" / "roles.sql").read_text()
ROLES = tuple(f"pillarbox_{name}" for name in ("owner", "web", "postprocess", "relay", "worker"))
PREFIX = "test_roles_"
MARK = "made by the tests"


def environment_without_replica() -> dict[str, str]:
    """The tests' environment; their replica shows another database."""
    return {name: value for name, value in os.environ.items() if "REPLICA" not in name}


def session(database: str, user: str = "", password: str = "") -> Any:
    """A session in autocommit, by default of the role that the tests run as."""
    who = {"user": user, "password": password} if user else {}
    given = {**connection.get_connection_params(), "dbname": database, **who}
    raw = psycopg2.connect(**given)
    raw.autocommit = True
    return raw


@dataclass(frozen=True, slots=True)
class RoleDatabase:
    """The database, and the passwords of its roles."""

    name: str
    passwords: dict[str, str]

    def url(self, role: str) -> str:
        given = connection.settings_dict
        return (
            f"postgresql://{role}:{quote(self.passwords[role])}"
            f"@{given['HOST']}:{given['PORT']}/{self.name}"
        )

    def run(self, role: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as a role, and give its rows."""
        with closing(session(self.name, role, self.passwords[role])) as raw, raw.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def manage(
        self, role: str, *arguments: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """`manage.py` in a process of its own, as a role."""
        own = {"DATABASE_URL": self.url(role), "DJANGO_SETTINGS_MODULE": "settings.base"}
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**environment_without_replica(), **own, **environment},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    def expect(self, role: str, *arguments: str, **environment: str) -> str:
        """The same, which has to succeed; what it printed."""
        done = self.manage(role, *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout


def apply_roles(database: str) -> None:
    """Apply the file, as the database's owner does."""
    with closing(session(database)) as raw, raw.cursor() as cursor:
        cursor.execute(SQL)


def clear(server: Any) -> None:
    """Remove what these tests have made, also what a run that was cut off has left."""
    server.execute(
        "SELECT rolname, shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = ANY(%s)",
        [list(ROLES)],
    )
    found = dict(server.fetchall())
    assert {*found.values()} <= {MARK}, (
        f"the server has roles that these tests need and have not made: {', '.join(found)}"
    )
    server.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{PREFIX}%"])
    for [name] in server.fetchall():
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    for role in found:
        server.execute(f'DROP ROLE "{role}"')


@contextmanager
def role_database() -> Iterator[RoleDatabase]:
    """Make the database and its roles as an operator would; take both away again."""
    name = PREFIX + secrets.token_hex(4)
    database = RoleDatabase(name, {role: secrets.token_hex(8) for role in ROLES})
    with closing(session("postgres")) as raw, raw.cursor() as server:
        clear(server)
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            apply_roles(name)
            for role, password in database.passwords.items():
                server.execute(f'ALTER ROLE "{role}" PASSWORD %s', [password])
                server.execute(f'COMMENT ON ROLE "{role}" IS %s', [MARK])
            database.expect("pillarbox_owner", "migrate", "-v", "0")
            apply_roles(name)
            yield database
        finally:
            clear(server)
