"""Faults of the service's processes: killed as by `kill -9`, or stopped for a while."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from deploy.devstack.process import Process
from tests.chaos.client import wait_for
from tests.chaos.plan import Planned
from tests.chaos.stage import Stage, freeze, thaw
from tests.service import kill

ROLES = {
    "web": "web",
    "post-processor": "postprocess",
    "relay": "relay",
    "worker": "worker",
}
"""The processes by the names that faults have for them."""
CHILDREN_SECONDS = 30.0


def targets(stage: Stage, fault: Planned) -> list[Process]:
    """The processes that a fault is about; none if it is about something else."""
    role = ROLES.get(fault.kind.partition(" ")[2])
    if role is None:
        return []
    several = stage.processes[role]
    return several if fault.which == 2 else [several[fault.which % len(several)]]


def kill_process(stage: Stage, fault: Planned) -> None:
    """End it without a word, and start it again after the time that the fault lasts."""
    for process in targets(stage, fault):
        if process.poll() is None:
            kill(process)
    time.sleep(fault.lasting)
    for process in targets(stage, fault):
        process.start()


def freeze_process(stage: Stage, fault: Planned) -> None:
    """Stop it in the middle of what it does, and let it go on as if no time had passed."""
    try:
        for process in targets(stage, fault):
            freeze(process)
        time.sleep(fault.lasting)
    finally:
        for process in targets(stage, fault):
            thaw(process)


def kill_child(stage: Stage, fault: Planned) -> None:
    """End one of the web server's own processes; its master starts another."""
    if child := _child(stage, fault):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def freeze_child(stage: Stage, fault: Planned) -> None:
    """Stop one of the web server's own processes; connections that it holds get no answer."""
    if child := _child(stage, fault):
        os.kill(child, signal.SIGSTOP)
        try:
            time.sleep(fault.lasting)
        finally:
            with suppress(ProcessLookupError):  # its master may have replaced it
                os.kill(child, signal.SIGCONT)


def _child(stage: Stage, fault: Planned) -> int | None:
    """One of the processes that answer requests; none while their master has just begun."""
    master = stage.processes["web"][0].pid
    found: list[int] = []

    def there() -> bool:
        with suppress(OSError):  # it has just ended
            found[:] = map(int, Path(f"/proc/{master}/task/{master}/children").read_text().split())
        return len(found) > 1

    return found[fault.which % len(found)] if wait_for(there, CHILDREN_SECONDS) else None
