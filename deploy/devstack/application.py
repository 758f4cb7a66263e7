"""The four processes of the service: how each is started, and how it is told to stop."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.devstack.address import HOST
from deploy.devstack.process import Process

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Command:
    """One process of the service. ``patience``: seconds to end by itself before it is killed."""

    name: str
    argv: tuple[str, ...]
    patience: float


def manage(*arguments: str) -> tuple[str, ...]:
    """The command line of one of Django's management commands."""
    return (sys.executable, "manage.py", *arguments)


def commands(port: int) -> list[Command]:
    """The processes in the order in which they are started and stopped.

    The way in is stopped first, so that no step ends while the one before it still hands it work.
    """
    module = (sys.executable, "-m")
    web = (*module, "gunicorn", "-c", "settings/gunicorn.py", "--bind", f"{HOST}:{port}")
    # Without gossip, mingle and heartbeat a worker that has no work costs next to nothing.
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    # Named by its port: two workers of one name shut each other out from a broker that both use.
    name = ("-n", f"pillarbox-{port}@%h")
    # Threads: prefork's pipe to its children costs as much as a short task, and on a small machine
    # tasks then fall behind the webhook. Prefork is for tasks whose time limit must be enforced.
    pool = ("-P", "threads", "-c", "4")
    worker = (*module, "celery", "-A", "settings", "worker", *name, *quiet, *pool, "-l", "INFO")
    return [
        Command("web", (*web, "settings.wsgi"), patience=10),
        Command("postprocess", manage("postprocess"), patience=10),
        Command("relay", manage("relay"), patience=10),
        Command("worker", worker, patience=15),
    ]


def environment(
    servers: Mapping[str, str],
    credentials: Mapping[str, str],
    given: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """The whole environment of the service's processes; what was given is passed on."""
    settled = {**servers, **credentials, "PYTHONUNBUFFERED": "1"}
    defaults = {
        "DJANGO_SETTINGS_MODULE": "settings.base",
        "DJANGO_ALLOWED_HOSTS": f"localhost,{HOST}",
    }
    # NAME and NAME_FILE would be two answers to one question.
    passed_on = {name: value for name, value in given.items() if _stem(name) not in settled}
    # A shell may have exported the settings of another project.
    if not passed_on.get("DJANGO_SETTINGS_MODULE", "").startswith("settings."):
        passed_on.pop("DJANGO_SETTINGS_MODULE", None)
    return {**defaults, **passed_on, **settled}


def processes(port: int, stack_dir: Path, env: Mapping[str, str]) -> list[tuple[Process, float]]:
    """The four processes, not yet started, each with its patience."""
    return [
        (
            Process(
                command.name,
                command.argv,
                log=stack_dir / "logs" / f"{command.name}.log",
                pid_file=stack_dir / "pids" / command.name,
                env=env,
                cwd=REPOSITORY,
            ),
            command.patience,
        )
        for command in commands(port)
    ]


def _stem(name: str) -> str:
    return name.removesuffix("_FILE")
