"""Relays as they really run: each a process, on one database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from benchmarks.growth.place import Place
from deploy.devstack.process import Process

START_SECONDS = 30.0
STOP_SECONDS = 20.0
UNBOUNDED = "10000000"
"""Messages in flight: nobody takes them from the broker while the relays are measured."""


@contextmanager
def crew(place: Place, number: int, **environment: str) -> Iterator[Sequence[Process]]:
    """Start so many relays and wait until each waits for work; stop them at the end."""
    given: dict[str, Any] = {
        "DATABASE_URL": place.url,
        "OUTBOX_MAX_IN_FLIGHT": UNBOUNDED,
        **environment,
    }
    from tests.signals.one_process import one_process  # needs the models

    with ExitStack() as stack:
        processes = []
        for index in range(number):
            folder = place.folder / f"relay-{place.name}-{index}"
            service = stack.enter_context(one_process("relay", folder, **given))
            processes.append(service.processes["relay"])
        for process in processes:
            process.wait_until(partial(_waits, process), START_SECONDS)
        yield processes
        with ThreadPoolExecutor(number) as pool:  # none has to outlive another
            list(pool.map(lambda process: process.stop(STOP_SECONDS), processes))


def _waits(process: Process) -> bool:
    return "waits for work" in process.output()
