"""Post-processor, relay and worker as processes, started again when they die, as systemd does."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import celery

from deploy.devstack import application
from tests.promises.poison import work
from tests.service import database_url
from tests.waiting import eventually

T = TypeVar("T")

SETTINGS = "tests.promises.poison.settings"
POLL_SECONDS = "0.1"
ENDED_WELL = dict.fromkeys(("postprocess", "relay", "worker"), 0)


class Supervised:
    """The processes by name, and how often each has died."""

    def __init__(self, folder: Path, pool: str, environment: dict[str, str]) -> None:
        env = {
            **application.environment(
                {
                    "DATABASE_URL": database_url("default"),
                    "CELERY_BROKER_URL": os.environ["CELERY_BROKER_URL"],
                },
                {},
            ),
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            **environment,
        }
        started = dict(application.processes(0, folder, env))
        self.processes = {each.name: each for each in started if each.name != "web"}
        self._patience = {each.name: patience for each, patience in started.items()}
        for name in ("postprocess", "relay"):
            self.processes[name].argv += ["--poll-interval", POLL_SECONDS]
        # Celery takes the last of two pools.
        self.processes["worker"].argv += ["-Q", work.QUEUE, "-P", pool]
        self.deaths: Counter[str] = Counter()

    def start(self, *names: str) -> None:
        for name in names:
            self.processes[name].start()

    def tend(self) -> None:
        """Start again what has died."""
        for name, process in self.processes.items():
            if process.pid and (code := process.poll()) is not None:
                assert code == -signal.SIGKILL, process.complaint(f"ended with exit code {code}")
                self.deaths[name] += 1
                process.start()

    def until(self, condition: Callable[[], T], deadline: float = 90.0) -> T:
        """Wait for a condition, tending the processes meanwhile."""

        def look() -> T:
            self.tend()
            return condition()

        return eventually(look, deadline)

    def end(self) -> dict[str, int]:
        """Tell all to end and wait; the exit codes of those that were ever started."""
        at_work = [each for each in self.processes.values() if each.pid]
        for process in at_work:
            process.send(signal.SIGTERM)
        return {each.name: each.wait(self._patience[each.name]) for each in at_work}

    def kill(self) -> None:
        for process in self.processes.values():
            process.send(signal.SIGKILL)
            process.stop(1)


@contextmanager
def supervised(folder: Path, pool: str = "threads", **environment: str) -> Iterator[Supervised]:
    """The processes, not yet started, with an empty queue in the broker."""
    group = Supervised(folder, pool, environment)
    with celery.current_app.connection_for_write() as connection:
        queue = celery.current_app.amqp.queues[work.QUEUE](connection.default_channel)
        queue.declare()
        queue.purge()
    try:
        yield group
    finally:
        group.kill()
