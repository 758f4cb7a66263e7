"""Kills the processes of the service with `kill -9`, while they hold work."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any
from uuid import UUID

from deploy.devstack.process import Process
from tests.service import Service, kill
from tests.sql import query

NAMES = ("worker", "relay", "postprocess", "web")
"""Against the stream: what hands a process its work is alive when it is its turn to die."""
PATIENCE_SECONDS = 40.0
LOOK_SECONDS = 0.002
READY_LOOK_SECONDS = 0.05

# What a dead process has left behind is older than the one that took its place.
CLAIMED = """
SELECT id FROM outbox_message
WHERE state = ANY(%s) AND lease_token IS NOT NULL AND started_at IS NULL
  AND due_at - make_interval(secs => %s) > %s
"""
# A backend with a transaction id has written, and not committed.
WRITING = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'pillarbox ' || %s
  AND backend_start > %s AND backend_xid IS NOT NULL
"""
# A worker takes its row FOR UPDATE. Claims and marks lock less, and are not waited for here.
RUN = """
WITH free AS MATERIALIZED (
    SELECT id FROM outbox_message WHERE state IN ('ready', 'dispatched') FOR KEY SHARE SKIP LOCKED
)
SELECT id FROM outbox_message
WHERE state IN ('ready', 'dispatched') AND id NOT IN (SELECT id FROM free)
"""
# What each writes to its log once it is ready to look for work; the web process answers instead.
READY = {
    "postprocess": "waits for work",
    "relay": "waits for work",
    "worker": " ready.",
}
STATES = {"postprocess": ["pending"], "relay": ["ready", "dispatched"]}
_BOTH = "SELECT id, {0} FROM outbox_message UNION ALL SELECT id, {0} FROM outbox_history"
PASSED = {
    "web": _BOTH.format("received_at"),
    "postprocess": _BOTH.format("ready_at"),
    "relay": _BOTH.format("dispatched_at"),
    "worker": "SELECT id, done_at FROM outbox_history",
}
"""The messages that each process has let pass, and when; in the subquery `passed (id, at)`."""


@dataclass(frozen=True, slots=True)
class Blow:
    """A process that was killed, when by the database's clock, and what it had in hand."""

    name: str
    at: datetime
    held: frozenset[UUID]
    """Messages that it had claimed, or of which it had the row. Of the web process: none yet."""


@dataclass(frozen=True, slots=True)
class Down:
    """From the death of a process to its successor's being ready, by this machine's clock.

    Ready is what the process says itself before it looks for work. How long its work then takes to
    begin is not part of it.
    """

    name: str
    since: datetime
    until: datetime

    @property
    def seconds(self) -> float:
        return (self.until - self.since).total_seconds()


class Killer:
    """Freezes a process, looks whether it holds work, and kills it then; else it lets it go on.

    `lease` is the service's, in seconds. `warm_up` is the number of messages that a process which
    was killed before must have let pass meanwhile: one that is killed whenever it takes something
    would try the same messages each time, and end them dead, as it should. `pause` is how long a
    process is frozen before the look, in seconds: what the others could finish is done by then.
    """

    def __init__(
        self, service: Service, *, lease: int, warm_up: int = 10, pause: float = 0.0
    ) -> None:
        self.blows: list[Blow] = []
        self.downs: list[Down] = []
        """Whole after `wait_until_ready()`."""
        self._service = service
        self._lease = lease
        self._warm_up = warm_up
        self._pause = pause
        self._started: dict[str, datetime] = {}
        self._watching: list[threading.Thread] = []

    def strike(self, name: str, *, busy: Callable[[], object] | None = None) -> Blow:
        """Kill one of the processes with work in hand.

        `busy` says whether it has some; without it a claim says so, or a transaction that has
        written. Raises AssertionError if it was not caught with work in time.
        """
        process = self._service.processes[name]
        busy = busy or (lambda: self._holds(name))
        end = time.monotonic() + PATIENCE_SECONDS
        while not (self.is_warm(name) and busy() and self._is_frozen_with_work(process, busy)):
            assert process.poll() is None, process.complaint("ended")
            assert time.monotonic() < end, f"{name} was never seen with work in hand"
            time.sleep(LOOK_SECONDS)
        held = frozenset(row[0] for row in self._held(name))
        [[now]] = query("SELECT clock_timestamp()")
        kill(process)
        self.blows.append(Blow(name, now, held))
        return self.blows[-1]

    def revive(self, name: str) -> None:
        """Start a process that was killed, as its supervisor would."""
        [[self._started[name]]] = query("SELECT clock_timestamp()")
        self._service.processes[name].start()
        died = next(blow.at for blow in reversed(self.blows) if blow.name == name)
        watch = threading.Thread(target=self._note_when_ready, args=(name, died), daemon=True)
        watch.start()
        self._watching.append(watch)

    def wait_until_ready(self) -> None:
        """Wait until each process that was revived has said that it is ready."""
        for watch in self._watching:
            watch.join(PATIENCE_SECONDS)
        assert len(self.downs) == len(self._watching), "a process never said that it is ready"

    def is_warm(self, name: str) -> bool:
        """Whether a process that was killed has let enough messages pass since."""
        started = self._started.get(name)
        passed = f"SELECT count(*) FROM ({PASSED[name]}) AS passed (id, at) WHERE at > %s"
        return started is None or query(passed, started)[0][0] >= self._warm_up

    def _note_when_ready(self, name: str, died: datetime) -> None:
        process = self._service.processes[name]
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if self._is_ready(process):
                self.downs.append(Down(name, died, datetime.now(UTC)))
                return
            time.sleep(READY_LOOK_SECONDS)

    def _is_ready(self, process: Process) -> bool:
        if process.name == "web":
            with suppress(OSError, HTTPException):
                return self._service.ask("GET", "/readyz").status == 200
            return False
        return READY[process.name] in process.output()

    def _is_frozen_with_work(self, process: Process, busy: Callable[[], object]) -> bool:
        os.killpg(process.pid, signal.SIGSTOP)  # the web server's children, too
        time.sleep(self._pause)
        if busy():
            return True
        os.killpg(process.pid, signal.SIGCONT)
        return False

    def _holds(self, name: str) -> list[tuple[Any, ...]]:
        if name in STATES:
            return self._held(name)
        return query(WRITING, name, self._started.get(name, "-infinity"))

    def _held(self, name: str) -> list[tuple[Any, ...]]:
        if name in STATES:
            started = self._started.get(name, "-infinity")
            return query(CLAIMED, STATES[name], self._lease, started)
        return query(RUN) if name == "worker" else []
