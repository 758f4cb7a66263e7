"""How long it takes until a task begins, under a load that does not wait for any."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from django.db import connection, transaction

from benchmarks.deliveries import WEBHOOK, WORDS
from benchmarks.frame.load import Load, http_request, load
from benchmarks.frame.samples import Samples
from benchmarks.frame.stage import Stage
from benchmarks.ours.noting import noted
from benchmarks.ours.pipeline import SECRET, Pipeline
from tests.service import Service

PATIENCE = 120.0
BURST = 3_000
"""Units whose work at full speed tells the rate of saturation."""
CONNECTIONS = 32
SENDERS = 8
"""Threads that enqueue: with one, each message would wait for the commits of those before it."""
START_SECONDS = 0.2
"""In which they connect."""


def ready_saturation(running: Pipeline, burst: int) -> float:
    """Tasks a second from ready to their first line, when there is always another."""
    running.forget()
    with transaction.atomic():
        noted.enqueue_many({"number": number} for number in range(burst))
    began = time.monotonic()
    return burst / (max(running.await_notes(burst, PATIENCE).values()) - began)


def ready_lateness(running: Pipeline, rate: float, seconds: float) -> Samples:
    """From the commit of a message that is ready to the first line of its task.

    Each is due at a random time, and what the commit begins too late counts as well.
    """
    running.forget()
    chance = random.Random(8)  # noqa: S311 - the same arrivals each time
    dues: SimpleQueue[tuple[int, float]] = SimpleQueue()
    due = end = time.monotonic() + START_SECONDS
    end += seconds
    while (due := due + chance.expovariate(rate)) < end:
        dues.put((dues.qsize(), due))
    number = dues.qsize()
    with ThreadPoolExecutor(SENDERS) as senders:
        parts = [senders.submit(_commit_when_due, dues) for _ in range(SENDERS)]
    committed = [each for part in parts for each in part.result()]
    notes = running.await_notes(number, PATIENCE)
    return Samples.of_seconds(max(0.0, notes[number] - at) + late for number, late, at in committed)


def _commit_when_due(dues: SimpleQueue[tuple[int, float]]) -> list[tuple[int, float, float]]:
    """By number how late the commit of each began, and when it was done."""
    committed = []
    connection.ensure_connection()
    try:
        while True:
            number, due = dues.get_nowait()
            time.sleep(max(0.0, due - time.monotonic()))
            late = time.monotonic() - due
            with transaction.atomic():
                noted.enqueue(number=number)
            committed.append((number, late, time.monotonic()))
    except Empty:
        return committed
    finally:
        connection.close()


def delivery_saturation(stage: Stage, running: Pipeline, burst: int) -> float:
    """Deliveries a second from their acceptance to the first line of their task."""
    running.forget()
    seconds = burst / 1_000
    with _deliveries(stage, running, 6 * burst, seconds) as generator:
        answers = generator.send()
    accepted = answers.all_are(202)
    notes = running.await_notes(accepted, PATIENCE)
    return accepted / (max(notes.values()) - answers.due[0])


def delivery_lateness(stage: Stage, running: Pipeline, rate: float, seconds: float) -> Samples:
    """From the 202 to the first line of the task."""
    running.forget()
    number = int(2 * rate * seconds) + 100
    with _deliveries(stage, running, number, seconds, rate) as generator:
        answers = generator.send()
    accepted = answers.all_are(202)
    notes = running.await_notes(accepted, PATIENCE)
    return Samples.of_seconds(
        max(0.0, notes[number] - done) for number, done in enumerate(answers.done)
    )


@contextmanager
def _deliveries(
    stage: Stage, running: Pipeline, most: int, seconds: float, rate: float | None = None
) -> Iterator[Load]:
    service = Service(running.port, SECRET, running.processes)
    name = uuid.uuid4().hex
    requests = []
    for number in range(most):
        body = _event(f"post-{name}-{number}")
        headers = service.signed(body, f"msg_{name}_{number}")
        requests.append(http_request(WEBHOOK, headers, body))
    with load(
        requests, running.port, stage.folder, seconds=seconds, connections=CONNECTIONS, rate=rate
    ) as generator:
        yield generator


def _event(source_id: str) -> bytes:
    data: dict[str, object] = {"id": source_id, "title": "What happened", "body": WORDS * 6}
    data |= {"categories": ["news", "letters"], "tags": [f"tag-{n}" for n in range(8)]}
    event = {"type": "post.created", "timestamp": "2026-01-01T00:00:00Z", "data": data}
    return json.dumps(event).encode()


def settings(running: Pipeline, rate: float, saturation: float) -> Mapping[str, object]:
    """What somebody must know who wants to repeat it."""
    return {
        "rate": round(rate, 1),
        "saturation": round(saturation, 1),
        "arrivals": "Poisson",
        "worker": running.commands["worker"],
    }
