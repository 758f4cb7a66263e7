"""Send one more sample delivery to a stack that runs, and show its journey."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

from deploy.devstack import journey, run, sample, stack_env
from deploy.devstack.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    run.arguments(parser)


def main(options: argparse.Namespace) -> int:
    """0 when the delivery was done, 1 when it was not or nothing runs there."""
    console = Console()
    path = options.stack_dir / "stack.env"
    try:
        values = stack_env.read(path)
    except OSError:
        console.line(f"nothing runs in {options.stack_dir}: there is no {path}. Start it: make run")
        return 1
    delay = run.replica_delay(os.environ.get("REPLICA_DELAY") or run.DEFAULT_REPLICA_DELAY)
    stack = sample.Stack.of(values, delay)
    try:
        travelled = sample.travel(stack, Patience())
    except sample.Stuck as stuck:
        console.line(f"{stuck}\nSee {options.stack_dir / 'logs' / f'{stuck.responsible}.log'}")
        return 1
    console.lines(journey.lines(travelled))
    return 0


class Patience:
    """Waits without anything to look after meanwhile."""

    def wait(
        self, ready: Callable[[], bool], *, deadline: float, pause: float | None = None
    ) -> bool:
        until = time.monotonic() + deadline
        while not ready():
            if time.monotonic() >= until:
                return False
            time.sleep(pause or 0.05)
        return True
