"""Celery alone: `apply_async` of one task after another, with the broker's confirms or without."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self

from celery import Celery

from benchmarks.frame.arm import Slice
from benchmarks.frame.stage import Stage
from benchmarks.growth.tray import Tray

FIRST_RATE = 800.0
PATIENCE_SECONDS = 30.0


class ApplyAsync:
    """No database and no outbox: what is lost on the way is lost."""

    unit = "sent task"

    def __init__(self, stage: Stage, *, confirms: bool) -> None:
        self.name = f"apply_async {'with confirms' if confirms else 'as it is by default'}"
        self.settings: Mapping[str, Any] = {
            "broker_transport_options": {"confirm_publish": True} if confirms else {}
        }
        self._stage = stage
        self._rate = FIRST_RATE
        self._queue = f"benchmark_apply_async_{confirms:d}"

    def __enter__(self) -> Self:
        self._app = Celery("direct", broker=self._stage.broker_url, set_as_current=False)
        # Celery prefers the environment to `broker`.
        given = {"broker_write_url": self._stage.broker_url, "task_ignore_result": True}
        self._app.conf.update(self.settings, **given)
        self._task = self._app.task(name="direct.index_post", shared=False)(_body)
        self._tray = Tray(self._queue).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._tray.close()
        self._app.close()

    def run(self, seconds: float) -> Slice:
        number = max(50, round(self._rate * seconds))
        self._tray.clear()
        with self._stage.meter(sender=[os.getpid()]).turn() as turn:
            for index in range(number):
                self._task.apply_async(kwargs={"post_id": index}, queue=self._queue)
        # Raises Void if one is missing: without confirms they may still be on their way.
        self._tray.wait_for(number, PATIENCE_SECONDS)
        self._tray.clear()
        self._rate = number / turn.seconds
        return turn.slice(number)


def _body(post_id: int) -> None:
    """Nobody runs it."""
