"""A web process under load: our webhook, and what it is compared with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import celery
from kombu import Queue

from benchmarks.deliveries import WEBHOOK, signed_deliveries
from benchmarks.frame.arm import Slice, Void
from benchmarks.frame.load import http_request, load
from benchmarks.frame.samples import Samples
from benchmarks.frame.stage import Stage

if TYPE_CHECKING:
    from tests.service import Service

BODY_BYTES = 500
CONNECTIONS = 64
WORKERS = 2
FASTEST = 9_000
"""Requests a second that no web process answers."""
SITE = "benchmarks.limits.intake_site"
QUEUE = "benchmark.replaced"
PATIENCE_SECONDS = 60.0
"""For what a view has left to a thread."""


@dataclass(frozen=True, slots=True)
class View:
    """A way to answer a delivery, and what is to be found in the database for each."""

    name: str
    path: str
    tables: Sequence[str] = ()
    """Each has a row for each 202."""
    wsgi: str = SITE
    queue: str = ""
    """Has a message for each 202."""


ROWS = ("app_delivery", "app_post", "outbox_message")
OURS = View("webhook", WEBHOOK, ROWS, "benchmarks.growth.open_door")
ECHO = View("bare echo view", "/echo/")
REPLACED = View(
    "replaced design",
    "/replaced/",
    ("app_post", "(SELECT DISTINCT post_id FROM app_post_tags) AS tagged"),
    queue=QUEUE,
)
ORM = View("ORM intake", "/orm/", ROWS)


class TakingIn:
    """An arm: so many connections, each with a request under way at any time."""

    unit = "accepted webhook"

    def __init__(self, stage: Stage, view: View) -> None:
        self.name = view.name
        self.settings: Mapping[str, Any] = {
            "connections": CONNECTIONS,
            "bytes": BODY_BYTES,
            "workers": WORKERS,
        }
        self._stage = stage
        self._view = view

    def __enter__(self) -> Self:
        from tests.signals.one_process import one_process, wait_until_idle  # they need the models

        folder = self._stage.folder / self.name.replace(" ", "-")
        with ExitStack() as stack:
            web = one_process(
                "web",
                folder,
                wsgi=self._view.wsgi,
                DATABASE_URL=self._stage.url,
                CELERY_BROKER_URL=self._stage.broker_url,
                WEB_CONCURRENCY=str(WORKERS),
                DATABASE_POOL_TIMEOUT="60",  # the threads of the replaced design wait in line
            )
            self._service: Service = stack.enter_context(web)
            wait_until_idle(self._service, "web")
            self._running = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def run(self, seconds: float) -> Slice:
        """As many as it takes. Raises Void unless each is answered with 202 and is stored."""
        self._stage.empty()
        self._purge()
        with self._generator(seconds, FASTEST, None) as generator:
            pids = {"web": [self._service.processes["web"].pid], "load": [generator.pid]}
            with self._stage.meter(**pids).turn() as turn:
                answers = generator.send()
        accepted = answers.all_are(202)
        self._verify(accepted)
        return Slice(accepted, answers.seconds, turn.processor)

    def latencies(self, rate: float, seconds: float) -> Samples:
        """Of a load that waits for no answer."""
        self._stage.empty()
        with self._generator(seconds, rate, rate) as generator:
            answers = generator.send()
        self._verify(answers.all_are(202))
        return Samples.of_seconds(answers.latencies)

    def _generator(self, seconds: float, most: float, rate: float | None) -> Any:
        number = round(most * seconds * 1.3) + 100
        deliveries = signed_deliveries(self._service, number, BODY_BYTES)
        requests = [http_request(self._view.path, each.headers, each.body) for each in deliveries]
        folder, port = self._stage.folder, self._service.port
        return load(requests, port, folder, seconds=seconds, connections=CONNECTIONS, rate=rate)

    def _verify(self, accepted: int) -> None:
        """See that there is all that there should be, soon. What threads do then is not counted."""
        end = time.monotonic() + PATIENCE_SECONDS
        for table in self._view.tables:
            while (found := self._count(table)) != accepted:
                if time.monotonic() > end:
                    raise Void(f"{found} rows of {table} for {accepted} answers")
                time.sleep(0.1)
        if self._view.queue and (found := self._purge()) != accepted:
            raise Void(f"{found} messages for {accepted} answers")

    def _count(self, table: str) -> int:
        [(number,)] = self._stage.execute(f"SELECT count(*) FROM {table}")  # noqa: S608 - names of ours
        return int(number)

    def _purge(self) -> int:
        """Take the messages away: how many there were."""
        if not self._view.queue:
            return 0
        with celery.current_app.connection_for_write(self._stage.broker_url) as connection:
            queue = Queue(self._view.queue)(connection.default_channel)
            queue.declare()
            return queue.purge() or 0
