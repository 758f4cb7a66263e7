"""What has to be done to the database before the service starts."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from deploy.devstack import application
from deploy.devstack.console import Console
from deploy.devstack.process import Process, StartFailed

#: Seconds for one management command.
DEADLINE = 180.0

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
            run_to_end(process, DEADLINE)


def run_to_end(process: Process, deadline: float) -> None:
    """Run a command. Raises StartFailed when it fails or is not done in ``deadline`` seconds."""
    process.start()
    try:
        code = process.wait(deadline)
    except subprocess.TimeoutExpired:
        problem = f"was not done after {deadline:.0f} s"
    else:
        problem = f"failed with exit code {code}" if code else ""
    finally:
        process.stop(2.0)
    if problem:
        raise StartFailed(
            f"{process.name} {problem}. The end of {process.log}:\n{process.log_tail(30)}"
        )
