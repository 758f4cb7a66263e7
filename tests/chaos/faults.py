"""The faults by name, and how one is made: alone on its target, and written down."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from tests.chaos import process_faults, server_faults
from tests.chaos.ledgers import Book, Fault
from tests.chaos.plan import Planned
from tests.chaos.process_faults import ROLES, targets
from tests.chaos.stage import Stage

KINDS: dict[str, Callable[[Stage, Planned], None]] = {
    **{f"kill {name}": process_faults.kill_process for name in ROLES},
    **{f"freeze {name}": process_faults.freeze_process for name in ROLES},
    "kill web child": process_faults.kill_child,
    "freeze web child": process_faults.freeze_child,
    "broker killed": server_faults.kill_broker,
    "broker restarted": server_faults.restart_broker,
    "broker frozen": server_faults.freeze_broker,
    "queue purged": server_faults.from_the_queue(server_faults.purge),
    "queue deleted": server_faults.from_the_queue(server_faults.delete),
    "database restarted": server_faults.restart_database,
    "backends terminated": server_faults.terminate_backends,
}
"""Each breaks one thing, waits, and sees that it is whole again when it returns."""


def kinds(stage: Stage) -> list[str]:
    """The faults that can be made here: a server that others use too is not ended."""
    without = set() if stage.broker else {"broker killed", "broker restarted", "broker frozen"}
    without |= set() if stage.postgres else {"database restarted"}
    return sorted(KINDS.keys() - without)


def make(stage: Stage, fault: Planned, book: Book, *, alone: bool) -> None:
    """Make one fault, on its target alone, and write it down."""
    time.sleep(fault.delay)
    with ExitStack() as held:
        for name in _locks(stage, fault):
            held.enter_context(stage.locks[name])
        began = time.time()
        KINDS[fault.kind](stage, fault)
        target = ", ".join(process.name for process in targets(stage, fault))
        book.write(Fault(fault.kind, target, began, time.time(), alone))


def _locks(stage: Stage, fault: Planned) -> list[str]:
    """What it breaks, in one order for all."""
    if fault.kind.endswith("web child"):
        return ["web"]
    if fault.kind.startswith("queue"):
        return ["queue", *(process.name for process in stage.processes["worker"])]
    several = sorted(process.name for process in targets(stage, fault))
    return several or [fault.kind.partition(" ")[0]]
