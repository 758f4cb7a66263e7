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
from urllib.parse import quote, urlsplit

import psycopg2
from django.db import connection

from tests.systemd.first_start import first_start

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
    credentials: Path
    """The folder with a file for each secret, as the units read it."""

    def url(self, role: str) -> str:
        given = connection.settings_dict
        return (
            f"postgresql://{role}:{quote(self.passwords[role])}"
            f"@{given['HOST']}:{given['PORT']}/{self.name}"
        )

    def empty(self) -> None:
        """Remove the rows that a test has left."""
        tables = "outbox_message, outbox_history, app_delivery, app_post, app_category, app_tag"
        self.run(ROLES[0], f"TRUNCATE {tables}, auth_user CASCADE")

    @contextmanager
    def as_default(self) -> Iterator[None]:
        """Django's own connection works on it, as the role that the tests run as."""
        given = connection.settings_dict
        others = given["NAME"]
        connection.close()
        given["NAME"] = self.name
        try:
            yield
        finally:
            connection.close()
            given["NAME"] = others

    def run(self, role: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as a role, and give its rows."""
        with closing(session(self.name, role, self.passwords[role])) as raw, raw.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def partitions(self) -> list[str]:
        rows = self.run(
            ROLES[0],
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'outbox_history'::regclass ORDER BY 1",
        )
        return [name for [name] in rows]

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
def role_database(folder: Path) -> Iterator[RoleDatabase]:
    """Make the database and its roles as an operator does; take both away again."""
    name = PREFIX + secrets.token_hex(4)
    given = connection.get_connection_params()
    with closing(session("postgres")) as raw, raw.cursor() as server:
        clear(server)
        try:
            credentials = first_start(folder, given, name)
            passwords = {role: password_in(credentials, role) for role in ROLES}
            yield RoleDatabase(name, passwords, credentials)
        finally:
            server.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [list(ROLES)])
            for [role] in server.fetchall():
                server.execute(f'COMMENT ON ROLE "{role}" IS %s', [MARK])
            clear(server)


def password_in(credentials: Path, role: str) -> str:
    """The password of a role, by the URL that its process is given."""
    url = (credentials / f"{role.removeprefix('pillarbox_')}-database-url").read_text()
    assert urlsplit(url).username == role
    return urlsplit(url).password or ""
