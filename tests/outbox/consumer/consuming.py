"""A task's body that does what a test tells it, and what happens around a task."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

import outbox
from app.models import Tag
from outbox import registry, store
from outbox.declaration import Task
from outbox.models import OutboxMessage

committed = pytest.mark.django_db(transaction=True)

Raw = Callable[[], Any]


class Body:
    """A task's body that leaves an effect, and then does what the test tells it."""

    def __init__(self) -> None:
        self.runs: list[outbox.Message] = []
        self.then: Callable[[], Any] = lambda: None

    def __call__(self, order_id: int) -> Any:
        self.runs.append(outbox.current_message())
        Tag.objects.create(name=f"effect of {order_id}, {len(self.runs)}")
        return self.then()


def effects() -> int:
    return Tag.objects.count()


def enqueue(task: Task[Any]) -> outbox.Message:
    with transaction.atomic():
        message = task.enqueue(order_id=7)
    wait_over(message)
    return message


def claim() -> outbox.Message:
    """What the relay does before it sends."""
    (message,) = store.claim_ready({"celery": 1}, registry.allowed_tasks())
    return message


def sent(task: Task[Any]) -> outbox.Message:
    """A message that the relay has sent and marked."""
    enqueue(task)
    message = claim()
    assert store.mark_dispatched([message])
    return message


def row(message: outbox.Message) -> OutboxMessage:
    return OutboxMessage.objects.get(pk=message.id)


def wait_over(message: outbox.Message) -> None:
    """As if the lease, or the wait for the next try, were over: also for a claim in this test's
    transaction, whose clock stands still."""
    long_ago = timezone.now() - dt.timedelta(minutes=10)
    OutboxMessage.objects.filter(pk=message.id).update(due_at=long_ago)


def seconds_until_due(message: outbox.Message) -> float:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM due_at - clock_timestamp()) FROM outbox_message"
            " WHERE id = %s",
            [message.id],
        )
        return float(cursor.fetchone()[0])


def snapshot(message: outbox.Message) -> dict[str, Any]:
    return OutboxMessage.objects.filter(pk=message.id).values().get()


class Failed(Exception):
    pass


def fail() -> None:
    raise Failed("out of paper")


def end_own_session() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
