"""A web process on a place's database: how much it takes in, and how long its answers take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from benchmarks.deliveries import WEBHOOK, signed_deliveries
from benchmarks.frame.arm import Slice
from benchmarks.frame.load import Answers, http_request, load
from benchmarks.frame.samples import Samples
from benchmarks.frame.stage import Stage

if TYPE_CHECKING:
    from tests.service import Service

BODY_BYTES = 1_000
CONNECTIONS = 32
FASTEST = 6_000
"""Requests a second that no web process answers."""
OPEN_DOOR = "benchmarks.growth.open_door"


class Accepting:
    """An arm for any state that the database has grown into. Deliveries are answered with 202, or
    what was measured is void.

    The web process runs before and after a slice: whoever measures has started it.
    """

    unit = "accepted webhook"

    def __init__(self, name: str, stage: Stage, service: Service) -> None:
        self.name = name
        self.settings: Mapping[str, Any] = {"connections": CONNECTIONS, "bytes": BODY_BYTES}
        self._stage = stage
        self._service = service

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The web process stays."""

    def run(self, seconds: float) -> Slice:
        """As many as it takes, with one under way on each connection."""
        with self._generator(seconds, FASTEST, None) as generator:
            pids = {"web": [self._service.processes["web"].pid], "load": [generator.pid]}
            with self._stage.meter(**pids).turn() as turn:
                answers = generator.send()
        accepted = answers.all_are(202)
        return Slice(accepted, answers.seconds, turn.processor)

    def latencies(
        self, rate: float, seconds: float, act: Callable[[], object] | None = None
    ) -> Samples:
        """Of a load that waits for no answer. `act` is called when a third of it was sent."""
        with self._generator(seconds, rate, rate) as generator, ThreadPoolExecutor(1) as pool:
            sent = pool.submit(generator.send)
            if act is not None:
                time.sleep(seconds / 3)
                act()
            answers: Answers = sent.result()
        answers.all_are(202)
        return Samples.of_seconds(answers.latencies)

    def _generator(self, seconds: float, most: float, rate: float | None) -> Any:
        number = round(most * seconds * 1.3) + 100
        deliveries = signed_deliveries(self._service, number, BODY_BYTES)
        requests = [http_request(WEBHOOK, each.headers, each.body) for each in deliveries]
        folder, port = self._stage.folder, self._service.port
        return load(requests, port, folder, seconds=seconds, connections=CONNECTIONS, rate=rate)


@contextmanager
def accepting(stage: Stage, name: str = "intake") -> Iterator[Accepting]:
    """Start the web process and wait until it is ready; stop it at the end."""
    from tests.signals.one_process import one_process, wait_until_idle  # they need the models

    folder = stage.folder / f"web-{name.replace(' ', '-')}"
    with one_process("web", folder, wsgi=OPEN_DOOR, DATABASE_URL=stage.url) as service:
        wait_until_idle(service, "web")
        yield Accepting(name, stage, service)
