"""The service of a run: two of each process behind the web process, and the servers under it."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

import amqp

from deploy.devstack import application
from deploy.devstack.postgres import Server
from deploy.devstack.process import Process, StartFailed
from tests.chaos.client import wait_for
from tests.promises.siblings import sibling, with_options
from tests.service import free_port

START_SECONDS = 60.0
STOP_SECONDS = 15.0
QUEUE = "celery"
IDLE_SECONDS = 3
"""After these a frozen worker loses its transaction; a run has no minute to wait for it."""
ATTEMPTS = 10
TERMS = {
    "OUTBOX_LEASE_SECONDS": "4",
    "OUTBOX_PUBLISH_SECONDS": "2",
    "OUTBOX_REDISPATCH_SECONDS": "6",
    "OUTBOX_MAX_ATTEMPTS": str(ATTEMPTS),
    "DATABASE_CONNECT_TIMEOUT": "2",
    "DJANGO_LOG_LEVEL": "WARNING",
    "DJANGO_SETTINGS_MODULE": "settings.base",
}


@dataclass(slots=True)
class Stage:
    """Where the faults are made. `broker` and `postgres` are None where they are others' too.

    Whoever breaks something holds its lock, so that one thing is broken in one way at a time, and
    so that nobody starts again what is meant to be down.
    """

    port: int
    secret: str
    dsn: str
    broker_url: str
    processes: dict[str, list[Process]]
    broker: Process | None = None
    postgres: Server | None = None
    locks: dict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))
    ended: list[str] = field(default_factory=list)
    """Processes that ended by themselves, and were started again."""

    @property
    def everything(self) -> list[Process]:
        return [process for several in self.processes.values() for process in several]

    def start_again(self) -> None:
        """Start what has ended although nobody has ended it, as a supervisor would."""
        for process in self.everything:
            lock = self.locks[process.name]
            if lock.acquire(blocking=False):
                try:
                    if (code := process.poll()) is not None:
                        self.ended.append(process.complaint(f"ended with exit code {code}"))
                        process.start()
                finally:
                    lock.release()

    def stop(self) -> None:
        """Ask all to end, once: a second signal would cut off what they do."""
        for process in self.everything:
            thaw(process)
            process.send(signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        for process in self.everything:
            with suppress(RuntimeError, TimeoutExpired):  # never started, or not in time
                process.wait(max(0.0, end - time.monotonic()))
            process.stop(0)

    def waiting_in_the_broker(self) -> int:
        """Messages in the queue that no worker has yet. Raises OSError and amqp's errors."""
        with self.open_channel() as channel:
            declared: Any = channel.queue_declare(QUEUE, passive=True)
            return int(declared.message_count)

    @contextmanager
    def open_channel(self) -> Iterator[amqp.Channel]:
        """A channel to the broker, with a deadline for each answer."""
        url = urlsplit(self.broker_url)
        with amqp.Connection(
            f"{url.hostname}:{url.port}",
            userid=unquote(url.username or ""),
            password=unquote(url.password or ""),
            virtual_host=unquote(url.path[1:]) or "/",
            connect_timeout=3,
            read_timeout=5,
            write_timeout=5,
        ) as connection:
            yield connection.channel()


@contextmanager
def staged(
    folder: Path,
    servers: Mapping[str, str],
    *,
    broker: Process | None = None,
    postgres: Server | None = None,
    terms: Mapping[str, str] = TERMS,
) -> Iterator[Stage]:
    """Start the processes on these servers, wait until the web answers; stop all at the end.

    `servers` has DATABASE_URL, CELERY_BROKER_URL and perhaps DATABASE_REPLICA_URL; `terms` are the
    variables under which the service runs.
    """
    port = free_port()
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    own = {"WEBHOOK_SECRETS": secret, "DJANGO_SECRET_KEY": secrets.token_urlsafe(50)}
    given = {**os.environ, **terms}
    env = application.environment(servers, own, given)
    stage = Stage(
        port,
        secret,
        servers["DATABASE_URL"],
        servers["CELERY_BROKER_URL"],
        _processes(folder, port, env),
        broker,
        postgres,
    )
    try:
        for process in stage.everything:
            process.start()
        if not wait_for(lambda: _is_ready(stage), START_SECONDS):
            raise StartFailed(stage.processes["web"][0].complaint("was not ready"))
        yield stage
    finally:
        stage.stop()


def freeze(process: Process) -> None:
    """Stop the process and its children."""
    _signal_group(process, signal.SIGSTOP)


def thaw(process: Process) -> None:
    _signal_group(process, signal.SIGCONT)


def _signal_group(process: Process, number: int) -> None:
    # Each of them leads a session of its own; one that has ended has no number that is still its.
    if process.pid and process.poll() is None:
        os.killpg(process.pid, number)


def _processes(folder: Path, port: int, env: Mapping[str, str]) -> dict[str, list[Process]]:
    made: dict[str, list[Process]] = {}
    for process, _ in application.processes(port, folder, env):
        name = process.name
        if name == "web":
            made[name] = [process]
            continue
        options: dict[str, str] = {}
        more: tuple[str, ...] = ()
        if name == "worker":
            idle = f"-c%20idle_in_transaction_session_timeout%3D{IDLE_SECONDS}s"
            options = with_options(env, idle)
            more = ("-I", "tests.chaos.observed")
        made[name] = [sibling(process, f"{name}{n}", *more, **options) for n in range(2)]
    return made


def _is_ready(stage: Stage) -> bool:
    for process in stage.everything:
        if process.poll() is not None:
            raise StartFailed(process.complaint("ended"))
    try:
        with urlopen(f"http://127.0.0.1:{stage.port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
