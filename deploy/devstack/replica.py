"""A streaming replica of the primary, which applies each commit some seconds late."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg2

from deploy.devstack.postgres import SLOT, Installation, Primary, Server
from deploy.devstack.process import StartFailed, run

STREAMING_SECONDS = 15.0
"""For a replica with old data to follow the primary again; after that it is made anew."""


class Replica(Server):
    """Data of an earlier start is used again if it follows this primary, else made anew."""

    def __init__(self, installation: Installation, primary: Primary, delay: float) -> None:
        super().__init__("replica", installation)
        self._primary = primary
        self._delay = delay

    def bring_up(self, say: Callable[[str], None]) -> None:
        if self._is_of(self._primary):
            try:
                self._follow()
                return
            except StartFailed:
                say("The replica does not follow the primary any more: it is made anew")
                self.stop(10)
        self._copy()
        self._follow()

    def _follow(self) -> None:
        self.installation.identity.own(self.data)
        password = self.installation.state.password("replicator")
        self.configure(
            primary_conninfo=(
                f"host=127.0.0.1 port={self._primary.port} user=replicator password={password} "
                "application_name=replica"
            ),
            primary_slot_name=SLOT,
            hot_standby_feedback="on",
            recovery_min_apply_delay=f"{round(self._delay * 1000)}ms",
            wal_retrieve_retry_interval="200ms",
        )
        self.start_and_wait()
        self.wait_until(self._is_streaming, STREAMING_SECONDS)
        if self._is_ahead():
            raise StartFailed(self.complaint("holds what the primary never wrote"))

    def _copy(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        # A slot that lost its log cannot be used again.
        with contextlib.closing(self._primary.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
            cursor.execute("SELECT pg_create_physical_replication_slot(%s, true)", [SLOT])
        self.data.mkdir(mode=0o700)
        self.installation.identity.own(self.data)
        where = ["-h", "127.0.0.1", "-p", str(self._primary.port), "-U", "replicator"]
        how: list[str | Path] = ["-D", self.data, "-S", SLOT, "-X", "stream", "-c", "fast"]
        password = self.installation.state.password("replicator")
        run(
            self.installation.tool(
                "pg_basebackup", *where, *how, log=self.name, PGPASSWORD=password
            ),
            120,
        )
        (self.data / "standby.signal").touch()
        self.installation.identity.own(self.data)

    def _is_of(self, primary: Primary) -> bool:
        """Whether there is data of a standby of this very primary (its system identifier)."""
        if not (self.data / "standby.signal").exists():
            return False
        identifier = self._identifier(self)
        return identifier is not None and identifier == self._identifier(primary)

    def _identifier(self, server: Server) -> str | None:
        tool = self.installation.binaries.folder / "pg_controldata"
        done = subprocess.run(
            [tool, "-D", server.data], capture_output=True, text=True, timeout=10, check=False
        )
        match = re.search(r"system identifier:\s+(\d+)", done.stdout)
        return match[1] if match else None

    def _is_ahead(self) -> bool:
        """Whether the primary was put back to an older state: it writes before it sends."""
        positions = []
        for server, function in (
            (self, "pg_last_wal_replay_lsn()"),
            (self._primary, "pg_current_wal_flush_lsn()"),
        ):
            with contextlib.closing(server.connect()) as connection:
                cursor = connection.cursor()
                cursor.execute(f"SELECT {function} - '0/0'")
                positions.append(cursor.fetchone()[0])
        replica, primary = positions
        return bool(replica > primary)

    def _is_streaming(self) -> bool:
        try:
            connection = self.connect()
        except psycopg2.OperationalError:
            return False
        with contextlib.closing(connection):
            cursor = connection.cursor()
            cursor.execute("SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'")
            return cursor.fetchone() is not None
