"""`make demo` on a Pillarbox whose worker is broken: `python -m tests...broken_demo WAY ...`."""

from __future__ import annotations

import dataclasses
import sys

from deploy.devstack import __main__ as devstack
from deploy.devstack import application

IDLE = "import time; print('worker ready.', flush=True); time.sleep(3600)"
WHOLE = application.commands


def broken(way: str, worker: application.Command) -> application.Command:
    """The worker's command: one that takes no task, or one that drops a tag in each."""
    if way == "idle":
        return dataclasses.replace(worker, argv=(sys.executable, "-c", IDLE))
    at = worker.argv.index("settings")
    argv = (*worker.argv[:at], "tests.devstack.demo.dropping_worker", *worker.argv[at + 1 :])
    return dataclasses.replace(worker, argv=argv)


def main() -> int:
    way = sys.argv.pop(1)

    def commands(port: int) -> list[application.Command]:
        return [broken(way, each) if each.name == "worker" else each for each in WHOLE(port)]

    application.commands = commands
    sys.argv.insert(1, "demo")
    return devstack.main()


if __name__ == "__main__":
    sys.exit(main())
