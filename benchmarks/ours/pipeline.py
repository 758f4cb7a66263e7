"""The processes of the service as devstack deploys them, with a worker that notes first lines."""

from __future__ import annotations

import base64
import os
import secrets
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.frame.arm import Void
from benchmarks.frame.stage import Stage
from benchmarks.ours.noting import NOTE, QUEUE
from deploy.devstack import application
from deploy.devstack.process import Process
from tests.service import Service, free_port
from tests.waiting import eventually

START_SECONDS = 30.0
SIGNS = {
    "web": "Booting worker",
    "postprocess": "waits for work",
    "relay": "waits for work",
    "worker": " ready.",
}
SECRET = "whsec_" + base64.b64encode(b"a secret for benchmarks alone").decode()


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Running processes by their names, and the first lines that their worker has noted."""

    port: int
    processes: dict[str, Process]
    commands: Mapping[str, Sequence[str]]
    """The command lines, for who wants to repeat it."""
    _notes: Path

    def notes(self) -> dict[int, float]:
        """By number the time of the first line of its task; of copies the first one's."""
        found: dict[int, float] = {}
        for number, at in NOTE.iter_unpack(self._notes.read_bytes()):
            found.setdefault(number, at)
        return found

    def await_notes(self, number: int, patience: float) -> dict[int, float]:
        """Wait until so many tasks have begun. Raises Void."""
        try:
            eventually(lambda: self._notes.stat().st_size >= number * NOTE.size, patience)
        except AssertionError as error:
            raise Void(f"{len(self.notes())} of {number} tasks have begun") from error
        return self.notes()

    def forget(self) -> None:
        """Begin without notes. Nothing may be under way."""
        self._notes.write_bytes(b"")


@contextmanager
def pipeline(stage: Stage, *names: str, **environment: str) -> Iterator[Pipeline]:
    """Start those of web, postprocess, relay and worker that are named; stop them at the end."""
    notes = stage.folder / "notes"
    notes.write_bytes(b"")
    port = free_port()
    servers = {"DATABASE_URL": stage.url, "CELERY_BROKER_URL": stage.broker_url}
    own = {"WEBHOOK_SECRETS": SECRET, "DJANGO_SECRET_KEY": secrets.token_urlsafe(50)}
    # The worker's tasks that only it knows are the relay's to send.
    ours = {"DJANGO_SETTINGS_MODULE": "settings.base", "OUTBOX_TASKS": "benchmark."}
    env = application.environment(servers, own, {**os.environ, **ours, **environment})
    env["NOTES"] = str(notes)
    env.pop("DATABASE_REPLICA_URL", None)
    started = {name: _process(name, port, stage.folder / "pipeline", env) for name in names}
    try:
        for process in started.values():
            process.start()
        for name, process in started.items():
            process.wait_until(partial(_says, process, SIGNS[name]), START_SECONDS)
        if "web" in started:
            service = Service(port, SECRET, started)
            started["web"].wait_until(partial(_answers, service), START_SECONDS)
        commands = {name: process.argv[1:] for name, process in started.items()}
        yield Pipeline(port, started, commands, notes)
    finally:
        for process in started.values():
            process.send(signal.SIGTERM)
        for process in started.values():
            process.stop(10)


def _process(name: str, port: int, folder: Path, env: dict[str, str]) -> Process:
    [command] = [each for each in application.commands(port) if each.name == name]
    more = ["-I", "benchmarks.ours.noting", "-Q", f"celery,{QUEUE}"] if name == "worker" else []
    return Process(
        name,
        [*command.argv, *more],
        log=folder / f"{name}.log",
        pid_file=folder / f"{name}.pid",
        env=env,
        cwd=application.REPOSITORY,
    )


def _answers(service: Service) -> bool:
    with suppress(OSError):
        return service.ask("GET", "/readyz").status == 200
    return False


def _says(process: Process, sign: str) -> bool:
    return sign in process.output()
