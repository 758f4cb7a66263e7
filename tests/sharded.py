"""`python -m tests.sharded ARGUMENTS`: pytest in two processes, each with servers of its own.

The tests wait more than they compute, and what one does to a server must not meet another. Files
are shared out. One process alone uses servers that are given, or talks to a terminal.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

GIVEN = ("DATABASE_URL", "CELERY_BROKER_URL")
TALKING = {"-s", "--capture=no", "--pdb"}


def command(arguments: list[str], folder: Path) -> list[str]:
    """What is to be run; the servers live in `folder`."""
    tests = [*_servers(folder / "1"), sys.executable, "-m", "pytest"]
    given = any(os.environ.get(name) or os.environ.get(f"{name}_FILE") for name in GIVEN)
    if given or TALKING.intersection(arguments):
        return [*tests, *arguments]
    second = _servers(folder / "2", "--suffix=_1")
    return [*second, *tests, "--numprocesses=2", "--dist=loadfile", *arguments]


def _servers(folder: Path, *options: str) -> list[str]:
    devstack = [sys.executable, "-m", "deploy.devstack", "exec", "--stack-dir", str(folder)]
    return [*devstack, *options, "--"]


if __name__ == "__main__":
    asked = command(sys.argv[1:], Path(os.environ.get("STACK_DIR") or "var") / "test")
    os.execv(asked[0], asked)  # signals reach it as they are
