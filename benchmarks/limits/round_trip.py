"""The floor of any latency: a notification of PostgreSQL and one round through the broker."""

from __future__ import annotations

import contextlib
import select
import time
import uuid
from typing import Any

import celery

from benchmarks.frame.arm import Void
from benchmarks.frame.samples import Samples
from benchmarks.frame.stage import Stage

PATIENCE = 10.0
PAUSE_SECONDS = 0.002


def round_trips(stage: Stage, seconds: float) -> Samples:
    """One after the other: commit, NOTIFY received, a message published and consumed again.

    The row is inserted and announced by one commit, and another session hears of it; nothing is
    claimed, and the publisher does not wait for the broker's confirm.
    """
    taken: list[float] = []
    with contextlib.ExitStack() as stack:
        writer, listener = (stack.enter_context(contextlib.closing(stage.connect())) for _ in "12")
        listener.cursor().execute("LISTEN benchmark")
        app = celery.current_app
        connection = stack.enter_context(app.connection_for_write(stage.broker_url))
        own = connection.SimpleQueue(uuid.uuid4().hex, queue_opts={"auto_delete": True})
        queue = stack.enter_context(contextlib.closing(own))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(PAUSE_SECONDS)
            began = time.monotonic()
            _announced(writer, listener)
            queue.put({"at": began})
            queue.get(timeout=PATIENCE).ack()
            taken.append(time.monotonic() - began)
    return Samples.of_seconds(taken)


def _announced(writer: Any, listener: Any) -> None:
    """Commit a row with a notification, and wait until another session has that."""
    writer.cursor().execute(
        "INSERT INTO app_tag (name) VALUES (%s); NOTIFY benchmark", [uuid.uuid4().hex]
    )
    end = time.monotonic() + PATIENCE
    while not listener.notifies:
        if not select.select([listener], (), (), end - time.monotonic())[0]:
            raise Void(f"no notification within {PATIENCE:.0f} s")
        listener.poll()
    listener.notifies.clear()
