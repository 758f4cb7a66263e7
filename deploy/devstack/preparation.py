"""What has to be done to the database before the service starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.devstack import application
from deploy.devstack.console import Console
from deploy.devstack.process import Process, run

DEADLINE = 180.0
"""Seconds for one management command."""

_STEPS: Mapping[str, tuple[str, ...]] = {
    "tables are up to date": ("migrate", "--no-input"),
    "the history has its partitions": ("outbox", "maintain"),
}


def prepare(stack_dir: Path, env: Mapping[str, str], console: Console) -> None:
    """Bring the database up to date. Raises StartFailed when a step fails or takes too long."""
    for done, command in _STEPS.items():
        process = Process(
            f"manage.py {' '.join(command)}",
            application.manage(*command),
            log=stack_dir / "logs" / "setup.log",
            env=env,
            cwd=application.REPOSITORY,
        )
        with console.step(done):
            run(process, DEADLINE)
