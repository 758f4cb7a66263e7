"""The relay's own sender over messages that are there already: what the broker leaves to be had."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Self

import celery

from benchmarks.frame.arm import Slice, Void
from benchmarks.frame.stage import Stage
from benchmarks.growth.tray import Tray

BATCHES = (250, 500, 1000)
"""Tried at the start; the fastest is taken."""
TRIAL_SECONDS = 0.5
FIRST_RATE = 10_000.0
PATIENCE_SECONDS = 30.0
QUEUE = "benchmark_published"


class PublishLoop:
    """No database: batches that are published one after the other, the next over the confirms of
    the last, as the relay does it.
    """

    name = "publish loop"
    unit = "dispatched row"

    def __init__(self, stage: Stage, trial_seconds: float = TRIAL_SECONDS) -> None:
        self._stage = stage
        self._trial_seconds = trial_seconds
        self._rate = FIRST_RATE
        self._batch = BATCHES[-1]
        self.settings: Mapping[str, Any] = {}

    def __enter__(self) -> Self:
        from relay.publisher import Publisher

        self._tray = Tray(QUEUE).__enter__()
        self._publisher = Publisher(celery.current_app, deadline=PATIENCE_SECONDS)
        rates = {}
        for self._batch in BATCHES:
            self.run(self._trial_seconds)
            rates[self._batch] = self.run(self._trial_seconds).rate
        self._batch = max(rates, key=lambda batch: rates[batch])
        self.settings = {"batch": self._batch, "tried": {str(own): rates[own] for own in rates}}
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.close()
        self._tray.close()

    def run(self, seconds: float) -> Slice:
        messages = _messages(max(self._batch, round(self._rate * seconds)))
        self._tray.clear()
        with self._stage.meter(publisher=[os.getpid()]).turn() as turn:
            confirmed = self._publish(messages)
        if confirmed != len(messages) or (found := self._tray.count()) != len(messages):
            raise Void(f"{found} of {len(messages)} messages came, {confirmed} were confirmed")
        self._rate = len(messages) / turn.seconds
        self._tray.clear()
        return turn.slice(len(messages))

    def _publish(self, messages: Sequence[Any]) -> int:
        confirmed, before = 0, None
        for start in range(0, len(messages), self._batch):
            sending = self._publisher.start(messages[start : start + self._batch])
            if before is not None:
                confirmed += len(self._publisher.finish(before).confirmed)
            before = sending
        return confirmed + (len(self._publisher.finish(before).confirmed) if before else 0)


def _messages(number: int) -> list[Any]:
    from outbox import Message

    return [
        Message(uuid.uuid4(), "post.created", "app.tasks.index_post", QUEUE, sends=1)
        for _ in range(number)
    ]
