"""The DRF sender: its environment, its database, its three processes."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from deploy.devstack.address import HOST
from deploy.devstack.application import REPOSITORY
from deploy.devstack.process import Process, run

PROJECT = REPOSITORY / "examples" / "drf_sender"
LOCK = PROJECT / "requirements.lock"
DEADLINE = 120.0
"""Seconds for one step of the preparation."""
PASSED_ON = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "USER")
"""All that the sender sees of our environment: the rest is Pillarbox's."""


class Sender:
    """The example project in a virtual environment of its own, on a port of 127.0.0.1."""

    def __init__(self, stack_dir: Path, port: int) -> None:
        self.base_url = f"http://{HOST}:{port}"
        self._port = port
        self._stack_dir = stack_dir
        self._folder = stack_dir / "sender"
        self.python = str(self._folder / "bin" / "python")

    def install(self) -> None:
        """Make the environment, with the wheel of this very source, unless it is there.

        Raises StartFailed.
        """
        ours, pip = (sys.executable, "-m"), ("pip", "--disable-pip-version-check")
        theirs = (self.python, "-m", *pip, "install", "-q")
        # The marks are written last: an installation that was cut off starts again.
        mark, wheel_mark = self._folder / "lock.sha256", self._folder / "wheel.sha256"
        if not _holds(mark, locked := _digest([LOCK])):
            shutil.rmtree(self._folder, ignore_errors=True)
            self._step("making its environment", *ours, "venv", str(self._folder))
            self._step("installing", *theirs, "--require-hashes", "-r", str(LOCK))
            mark.write_text(locked)
        if not _holds(wheel_mark, library := _digest(_library())):
            wheels = self._folder / "wheels"
            shutil.rmtree(wheels, ignore_errors=True)
            wheel = ("wheel", "-q", "--no-deps", "-w", str(wheels), str(REPOSITORY))
            self._step("building the wheel", *ours, *pip, *wheel)
            options = ("--no-deps", "--force-reinstall")
            self._step("installing the wheel", *theirs, *options, *map(str, wheels.glob("*.whl")))
            wheel_mark.write_text(library)

    def prepare(self, env: Mapping[str, str]) -> None:
        """Bring its database up to date. Raises StartFailed."""
        for command in (("migrate", "--no-input"), ("outbox", "maintain")):
            argv = (self.python, "manage.py", *command)
            self._step(f"manage.py {command[0]}", *argv, env=env)

    def environment(
        self, database_url: str, broker_url: str, receiver: str, secret: str
    ) -> dict[str, str]:
        """The whole environment of its processes; `receiver` is Pillarbox's base URL."""
        broker, options = broker_url, {}
        if broker_url.startswith("filesystem://"):
            folder = unquote(urlsplit(broker_url).path)
            broker = "filesystem://"
            options = dict.fromkeys(("data_folder_in", "data_folder_out"), folder)
            options["control_folder"] = f"{folder}/control"
        return {
            **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SECRET_KEY": secrets.token_urlsafe(50),
            "DATABASE_URL": database_url,
            "CELERY_BROKER_URL": broker,
            "CELERY_BROKER_TRANSPORT_OPTIONS": json.dumps(options),
            "WEBHOOK_URL": f"{receiver}/webhooks/posts/",
            "WEBHOOK_SECRET": secret,
        }

    def processes(self, env: Mapping[str, str]) -> list[tuple[Process, float]]:
        """Web, relay and worker, not yet started, each with its seconds to end by itself."""
        web = ["-m", "gunicorn", "--bind", f"{HOST}:{self._port}", "--workers", "2"]
        # Named by its port: two workers of one name shut each other out from a broker.
        name = ["-n", f"sender-{self._port}@%h", "--without-gossip", "--without-mingle"]
        worker = ["-m", "celery", "-A", "sender", "worker", "-Q", "webhooks", "-c", "4", *name]
        commands = {
            "sender-web": [*web, "--threads", "4", "sender.wsgi"],
            "sender-relay": ["manage.py", "relay"],
            "sender-worker": [*worker, "-l", "INFO"],
        }
        return [
            (
                Process(
                    name,
                    [self.python, *arguments],
                    log=self._stack_dir / "logs" / f"{name}.log",
                    pid_file=self._stack_dir / "pids" / name,
                    env=env,
                    cwd=PROJECT,
                ),
                10.0,
            )
            for name, arguments in commands.items()
        ]

    def _step(self, name: str, *argv: str, env: Mapping[str, str] | None = None) -> None:
        log = self._stack_dir / "logs" / "sender-setup.log"
        run(Process(f"the sender: {name}", argv, log=log, env=env, cwd=PROJECT), DEADLINE)


def _library() -> list[Path]:
    packages = [path for name in ("outbox", "relay") for path in (REPOSITORY / name).rglob("*.py")]
    return [REPOSITORY / "pyproject.toml", *sorted(packages)]


def _digest(paths: list[Path]) -> str:
    """Of these files, and of the Python that they are installed for."""
    digest = hashlib.sha256(f"{sys.version} {sys.prefix}".encode())
    for path in paths:
        digest.update(str(path).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _holds(mark: Path, digest: str) -> bool:
    return mark.exists() and mark.read_text() == digest
