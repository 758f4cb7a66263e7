"""The service under faults, and a checker that compares what was promised with what took place.

Exit 0 if every invariant was kept, 1 if not. All that a run needs and leaves is in its folder: the
servers' data, the logs, and the ledgers, one line of JSON for each record.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.devstack import application, leftovers, preparation, stack_lock
from deploy.devstack.console import Console
from deploy.devstack.interruption import Interruption, Stopped
from deploy.devstack.postgres import DATABASE, ROLE, Server
from deploy.devstack.process import StartFailed
from deploy.devstack.servers import Servers

if TYPE_CHECKING:
    from tests.chaos.run import Extent, Outcome

DEFAULT_SECONDS = 300.0
REPLICA_DELAY_SECONDS = 2.0
GIVEN = ("DATABASE_URL", "DATABASE_REPLICA_URL", "CELERY_BROKER_URL")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="which faults and deliveries (default: others)")
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--seconds", type=float, help="how long faults come (default 300)")
    extent.add_argument("--messages", type=int, help="how many deliveries, in place of a time")
    default = Path(os.environ.get("STACK_DIR") or "var") / "chaos"
    parser.add_argument("--stack-dir", type=Path, default=default, metavar="DIR")
    options = parser.parse_args()
    # Servers of others are not broken: a run has its own, whatever is given.
    for name in (name + suffix for name in GIVEN for suffix in ("", "_FILE")):
        os.environ.pop(name, None)
    from tests.chaos.run import Extent  # not before: it reads the environment

    if options.seconds is None and options.messages is None:
        options.seconds = DEFAULT_SECONDS
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    wanted = Extent(options.seconds, options.messages)
    return run(options.stack_dir.absolute(), seed, wanted)


def run(stack_dir: Path, seed: int, extent: Extent) -> int:
    """Start the servers, make the run, print what it found."""
    from tests.chaos import report

    console = Console()
    interruption = Interruption()
    interruption.install()
    stack_dir.mkdir(parents=True, exist_ok=True)
    how = f"--seconds {extent.seconds:g}" if extent.seconds else f"--messages {extent.messages}"
    console.line(f"seed {seed}; again: make chaos ARGS='--seed {seed} {how}'")
    servers = Servers(
        stack_dir, broker="rabbitmq", replica_delay=REPLICA_DELAY_SECONDS, say=console.say
    )
    try:
        with stack_lock.held(stack_dir):
            leftovers.wait_for_end(stack_dir / "pids", console.say)
            with servers:
                outcome = _on(servers, stack_dir, seed, extent, console)
                interruption.ignore()
    except Stopped as stopped:
        return 128 + stopped.signum
    except (StartFailed, stack_lock.StackInUse) as error:
        console.line(str(error))
        return 1
    console.lines(report.lines(outcome, seed))
    console.line(f"\nThe ledgers: {os.path.relpath(stack_dir / 'ledgers')}")
    return 1 if report.broken(outcome) else 0


def _on(servers: Servers, stack_dir: Path, seed: int, extent: Extent, console: Console) -> Outcome:
    """The run, on a database without anything of an earlier one."""
    from tests.chaos import database
    from tests.chaos.run import Run
    from tests.chaos.stage import staged

    by_name = {process.name: process for process in servers.processes}
    postgres = by_name["postgres"]
    assert isinstance(postgres, Server)
    with closing(postgres.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
    preparation.prepare(stack_dir, application.environment(servers.environment, {}), console)
    dsn = servers.environment["DATABASE_URL"]
    database.once(dsn, database.EFFECTS)
    shutil.rmtree(stack_dir / "ledgers", ignore_errors=True)
    shutil.rmtree(stack_dir / "logs" / "processes", ignore_errors=True)
    with staged(
        stack_dir, servers.environment, broker=by_name["broker"], postgres=postgres
    ) as stage:
        return Run(stage, stack_dir / "ledgers", seed, console.say).whole(extent)


if __name__ == "__main__":
    sys.exit(main())
