"""Run one of Django's management commands on a stack that runs: `manage createsuperuser`."""

from __future__ import annotations

import argparse
import subprocess

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
    # In this terminal and process group: it may ask for a password, and Ctrl-C ends it.
    argv = application.manage(*options.command)
    return subprocess.run(argv, env=env, cwd=application.REPOSITORY, check=False).returncode
