"""Tasks that a real worker loads: `celery -I tests.outbox.consumer.worker_tasks`."""

from __future__ import annotations

import time
from typing import Any

import outbox
from app.models import Tag

QUEUE = "bound-in-worker"


def never(_attempts: int) -> float:
    return 86_400


@outbox.task("worker.bound", name="worker.bound", queue=QUEUE, bind=True, priority=7)
def bound(self: Any, name: str) -> None:
    if self.request.retries == 0:
        Tag.objects.create(name="an effect that is undone")
        raise self.retry(countdown=0)
    follow_up.enqueue(name=f"{name} {self.request.id == str(self.message.id)}")


@outbox.task("worker.follow_up", name="worker.follow_up", queue=QUEUE)
def follow_up(name: str) -> None:
    Tag.objects.create(name=f"{name} {outbox.current_message().event_type}")


@outbox.task(
    "worker.slow", name="worker.slow", queue=QUEUE, soft_time_limit=1, time_limit=30, backoff=never
)
def slow(name: str) -> None:
    Tag.objects.create(name=name)
    for _ in range(2000):
        time.sleep(0.01)


@outbox.task(
    "worker.slow_leased",
    name="worker.slow_leased",
    queue=QUEUE,
    atomic=False,
    soft_time_limit=1,
    time_limit=30,
    backoff=never,
)
def slow_leased(name: str) -> None:
    slow(name=name)
