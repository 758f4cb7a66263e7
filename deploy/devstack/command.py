"""`exec`: run one command while the servers run."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from deploy.devstack import leftovers, stack_lock
from deploy.devstack.interruption import Interruption, Stopped
from deploy.devstack.process import Process, StartFailed
from deploy.devstack.servers import Servers

STOP_SECONDS = 30.0
"""For the command to end after a signal."""


def arguments(parser: argparse.ArgumentParser) -> None:
    # A folder of its own, so that tests run while `make run` does.
    default = Path(os.environ.get("STACK_DIR") or "var") / "exec"
    parser.add_argument("--stack-dir", type=Path, default=default, metavar="DIR")
    parser.add_argument("--replica-delay", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--no-replica", action="store_true", help="start PostgreSQL without one")
    parser.add_argument(
        "--postgres",
        type=_setting,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the primary, in place of devstack's own",
    )
    parser.add_argument(
        "--suffix",
        default="",
        help="of the names under which the command finds the servers: for a second set of them",
    )
    parser.add_argument("command", nargs="+", metavar="-- CMD ARG")


def main(options: argparse.Namespace) -> int:
    """The command's exit code, 128 + N when signal N ended it or us; 1 without servers."""
    stack_dir = options.stack_dir.absolute()
    stack_dir.mkdir(parents=True, exist_ok=True)
    interruption = Interruption()
    interruption.install()
    servers = Servers(
        stack_dir,
        broker=os.environ.get("BROKER") or None,
        replica_delay=options.replica_delay,
        replica=not options.no_replica,
        postgres=dict(options.postgres),
        say=_say,
    )
    try:
        with stack_lock.held(stack_dir):
            leftovers.wait_for_end(stack_dir / "pids", _say)
            with servers:
                for note in servers.notes:
                    _say(note)
                found = {**servers.environment, "STACK_DIR": str(stack_dir)}
                environment = {name + options.suffix: value for name, value in found.items()}
                code = _run(interruption, options.command, environment)
                interruption.ignore()
                return code
    except Stopped as stopped:
        return 128 + stopped.signum
    except (StartFailed, stack_lock.StackInUse) as error:
        _say(str(error))
        return 1


def _run(interruption: Interruption, command: list[str], environment: dict[str, str]) -> int:
    process = Process(
        command[0],
        command,
        log=None,
        # NAME and NAME_FILE would be two answers to one question.
        env={k: v for k, v in os.environ.items() if k.removesuffix("_FILE") not in environment}
        | environment,
        # As a terminal does: `make` and shells do not pass signals on to what they run.
        whole_group=True,
    )
    try:
        with interruption.deferred():
            process.start()
        code = process.wait()
    except Stopped as stopped:
        process.stop_signal = stopped.signum
        process.stop(STOP_SECONDS)
        code = process.wait()
    return 128 - code if code < 0 else code


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _say(line: str) -> None:
    sys.stderr.write(f"devstack: {line}\n")
    sys.stderr.flush()
