"""Run one of Django's management commands on a stack that runs: `manage createsuperuser`."""

from __future__ import annotations

import argparse
import os
import sys

from deploy.devstack import application, credentials, run, stack_env
from deploy.devstack.console import Console


def arguments(parser: argparse.ArgumentParser) -> None:
    run.arguments(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="as for manage.py")


def main(options: argparse.Namespace) -> int:
    """Becomes the management command; 1 when nothing runs there."""
    path = options.stack_dir / "stack.env"
    try:
        servers = stack_env.read(path)
    except OSError:
        Console().line(f"nothing runs in {options.stack_dir}: there is no {path}. Start: make run")
        return 1
    kept = credentials.load(options.stack_dir / "secrets.env")
    env = application.environment(servers, kept)
    os.chdir(application.REPOSITORY)
    os.execve(sys.executable, application.manage(*options.command), env)
