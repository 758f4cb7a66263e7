"""A PostgreSQL server on 127.0.0.1: the primary. No unix socket, so that no path is too long."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psycopg2
from psycopg2 import sql

from deploy.devstack.identity import Identity
from deploy.devstack.leftover_servers import end_servers
from deploy.devstack.postgres_binaries import Binaries
from deploy.devstack.process import Process, run
from deploy.devstack.state import State

ROLE = DATABASE = "pillarbox"
SLOT = "replica"
START_SECONDS = 60.0
"""A server that recovers from a crash replays up to `max_wal_size` of its log first."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "max_wal_senders": "8",
    "max_replication_slots": "8",
    # A replica that stays away must not fill the disk; it is made anew when it comes too late.
    "max_slot_wal_keep_size": "1GB",
    "hot_standby": "on",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
}

GRANTED = ("pg_wal_replay_pause()", "pg_wal_replay_resume()", "pg_promote(boolean, integer)")
"""For tests and trials: a replica that lags for as long as they want, and a failover."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What both servers share."""

    stack_dir: Path
    binaries: Binaries
    identity: Identity
    state: State

    def tool(self, name: str, *arguments: str | Path, log: str, **env: str) -> Process:
        """A program of PostgreSQL's, run as the identity."""
        return Process(
            name,
            [*self.identity.prefix, str(self.binaries.folder / name), *map(str, arguments)],
            log=self.stack_dir / "logs" / f"{log}.log",
            # The next run waits for the end of what a killed one had under way.
            pid_file=self.stack_dir / "pids" / name,
            # `PG...` in the caller's environment is about other servers.
            env={**{k: v for k, v in os.environ.items() if not k.startswith("PG")}, **env},
            uid=self.identity.uid,
            gid=self.identity.gid,
        )


class Server(Process):
    """One `postgres`; `pids/<name>` holds the postmaster's own pid."""

    def __init__(self, name: str, installation: Installation) -> None:
        self.installation = installation
        self.data = installation.stack_dir / name
        tool = installation.tool("postgres", "-D", self.data, log=name)
        super().__init__(
            name,
            tool.argv,
            log=tool.log,
            pid_file=installation.stack_dir / "pids" / name,
            env=tool.env,
            # Fast shutdown: sessions are ended, everything is written.
            stop_signal=signal.SIGINT,
            uid=tool.uid,
            gid=tool.gid,
        )
        self.port = 0

    def start(self) -> None:
        end_servers(self.data, "postgres")
        # The pid in it may be a stranger's by now, and PostgreSQL would refuse to start. Only after
        # the line above: while a child of an earlier server lives, this file protects the data.
        if Path("/proc/self").exists():
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        super().start()

    def start_and_wait(self) -> None:
        """Start and wait until it takes connections. Raises StartFailed."""
        self.start()
        self.wait_until(self.is_ready, START_SECONDS)

    def is_ready(self) -> bool:
        """Whether the server says so in its pid file, which needs no connection."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def configure(self, **more: str) -> None:
        """Write postgresql.conf and pg_hba.conf; the port is chosen here."""
        self.port = self.installation.state.port(self.name)
        settings = {**SETTINGS, "port": str(self.port), **more}
        lines = [
            f"{key} = '{value.replace(chr(39), chr(39) * 2)}'" for key, value in settings.items()
        ]
        access = [f"host {who} all 127.0.0.1/32 scram-sha-256" for who in ("all", "replication")]
        for name, text in (("postgresql.conf", lines), ("pg_hba.conf", access)):
            path = self.data / name
            path.write_text("\n".join(text) + "\n")
            path.chmod(0o600)
            os.chown(path, self.installation.identity.owner, -1)

    def connect(self, database: str = "postgres") -> Any:
        """A connection of the superuser, in autocommit."""
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            password=self.installation.state.password("superuser"),
            dbname=database,
            connect_timeout=5,
        )
        connection.autocommit = True
        return connection

    def url(self) -> str:
        password = self.installation.state.password(ROLE)
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{self.port}/{DATABASE}"


class Primary(Server):
    """Made on the first start; the same data, password and, if free, port on later ones.

    `settings` are for this start alone, in place of those above.
    """

    def __init__(
        self, installation: Installation, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__("postgres", installation)
        self._settings = settings

    def bring_up(self, say: Callable[[str], None]) -> None:
        if not self.data.exists():
            say("Making the database's folder, once")
            self._make()
        self.installation.identity.own(self.data)
        self.configure(**self._settings)
        self.start_and_wait()
        self._prepare()

    def _make(self) -> None:
        password_file = self.data.with_name(f"{self.name}.password")
        locale = ["--locale=C", "--encoding=UTF8"]
        if self.installation.binaries.major >= 17:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # Under another name until it is whole: a kill in between must not leave half a database.
        draft = self.data.with_name(f"{self.name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.installation.state.password("superuser"))
        try:
            for path in (draft, password_file):
                os.chown(path, self.installation.identity.owner, -1)
            who = ["-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password_file}"]
            arguments = [f"--pgdata={draft}", *who, *locale, "--no-instructions"]
            run(self.installation.tool("initdb", *arguments, log=self.name), 120)
        finally:
            password_file.unlink()
        draft.rename(self.data)

    def _prepare(self) -> None:
        """The roles, the database and the replica's slot, each unless it is there."""
        state = self.installation.state
        with contextlib.closing(self.connect("template1")) as connection:
            cursor = connection.cursor()
            for role, rights in ((ROLE, "CREATEDB CREATEROLE"), ("replicator", "REPLICATION")):
                cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
                verb = "ALTER" if cursor.fetchone() else "CREATE"
                statement = f"{verb} ROLE {{}} LOGIN {rights} PASSWORD %s"
                cursor.execute(
                    sql.SQL(statement).format(sql.Identifier(role)), [state.password(role)]
                )
            cursor.execute(f"GRANT pg_monitor TO {ROLE}")
            # In template1, so that databases made by tests have them too.
            for function in GRANTED:
                cursor.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {ROLE}")
            cursor.execute("SELECT 1 FROM pg_replication_slots WHERE slot_name = %s", [SLOT])
            if cursor.fetchone() is None:
                cursor.execute("SELECT pg_create_physical_replication_slot(%s)", [SLOT])
        # Not from template1: a database is not copied while somebody is connected to it.
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
