"""The servers that the service needs: PostgreSQL, its replica and a broker, or those given."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

import psycopg2

from deploy.devstack.broker import start_broker
from deploy.devstack.debian import DebianPackages
from deploy.devstack.guard import guard
from deploy.devstack.identity import identity_for
from deploy.devstack.postgres import Installation, Primary
from deploy.devstack.postgres_binaries import find_binaries
from deploy.devstack.process import Process, StartFailed
from deploy.devstack.replica import Replica
from deploy.devstack.state import State

REPOSITORY = Path(__file__).resolve().parents[2]
STOP_SECONDS = 10.0
ORDER = ("postgres", "replica", "broker")


class Servers:
    """Starts them on entering the block and stops them on leaving it.

    What DATABASE_URL and CELERY_BROKER_URL name is used, and nothing of ours is started for it.
    `broker` is one of broker.KINDS, None for the first that can be had. `replica_delay` is in
    seconds; without `replica` there is none. `postgres` are settings of the primary in place of
    devstack's own. `say` gets a line for each step that takes long. Entering raises StartFailed.

    After that `environment` holds DATABASE_URL, DATABASE_REPLICA_URL and CELERY_BROKER_URL,
    `notes` which servers they are and why, `processes` what was started: each can be started
    again by its `start()` when it has ended.
    """

    def __init__(
        self,
        stack_dir: Path,
        *,
        broker: str | None,
        replica_delay: float,
        say: Callable[[str], None],
        replica: bool = True,
        postgres: Mapping[str, str] = MappingProxyType({}),
        cache: Path | None = None,
    ) -> None:
        self.environment: dict[str, str] = {}
        self.notes: list[str] = []
        self.processes: list[Process] = []
        self._stack_dir = stack_dir.absolute()
        self._broker = broker
        self._replica_delay = replica_delay
        self._with_replica = replica
        self._settings = postgres
        self._say = say
        self._cache = cache or REPOSITORY / "var" / "cache"

    def __enter__(self) -> Self:
        self._stack_dir.mkdir(parents=True, exist_ok=True)
        state = State(self._stack_dir / "state.json")
        try:
            # RabbitMQ takes the longest and PostgreSQL needs no broker: both at once.
            with ThreadPoolExecutor(2) as pool:
                databases = pool.submit(self._start_databases, state)
                broker = pool.submit(self._start_broker, state)
                try:
                    for done in as_completed([databases, broker]):
                        done.result()
                except BaseException:
                    # Ends what the other thread is waiting for, and all that it would start next.
                    guard.abort()
                    raise
        except BaseException:
            self._stop()
            raise
        self.notes = [databases.result(), broker.result()]
        self.processes.sort(key=lambda process: ORDER.index(process.name))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda process: process.stop(STOP_SECONDS), self.processes))
        guard.close()

    def _start_databases(self, state: State) -> str:
        if url := given("DATABASE_URL"):
            self.environment["DATABASE_URL"] = url
            if replica_url := given("DATABASE_REPLICA_URL"):
                self.environment["DATABASE_REPLICA_URL"] = replica_url
            return "PostgreSQL: the one of DATABASE_URL"
        binaries, note = find_binaries()
        identity = identity_for(binaries.folder / "postgres", self._stack_dir)
        installation = Installation(self._stack_dir, binaries, identity, state)
        primary = Primary(installation, self._settings)
        replica = Replica(installation, primary, self._replica_delay)
        for server in (primary, replica) if self._with_replica else (primary,):
            self.processes.append(server)
            try:
                server.bring_up(self._say)
            except (psycopg2.Error, OSError) as error:
                raise StartFailed(
                    f"{server.name} in {server.data} cannot be set up: {str(error).strip()}. "
                    f"To begin anew, without its data, remove {self._stack_dir}"
                ) from error
        self.environment["DATABASE_URL"] = primary.url()
        if self._with_replica:
            self.environment["DATABASE_REPLICA_URL"] = replica.url()
        return f"{note}, {identity.how}"

    def _start_broker(self, state: State) -> str:
        if url := given("CELERY_BROKER_URL"):
            self.environment["CELERY_BROKER_URL"] = url
            return "Broker: the one of CELERY_BROKER_URL"
        packages = DebianPackages(self._cache, self._stack_dir / "logs" / "apt.log", self._say)
        broker = start_broker(self._broker, self._stack_dir, state, packages, self._say)
        if broker.process is not None:
            self.processes.append(broker.process)
        self.environment["CELERY_BROKER_URL"] = broker.url
        return broker.note


def given(name: str) -> str | None:
    """The value of an environment variable or of the file that `<name>_FILE` names."""
    if value := os.environ.get(name):
        return value
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text().strip() or None
        except OSError as error:
            raise StartFailed(f"{name}_FILE={path} cannot be read: {error}") from error
    return None
