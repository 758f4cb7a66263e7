"""A prepare function that does what a test tells it, and the rows around it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

import outbox
from app.models import Tag
from outbox.declaration import Task
from outbox.models import OutboxMessage

committed = pytest.mark.django_db(transaction=True)

Raw = Callable[[], Any]


class Filling:
    """A prepare function that leaves a Tag per message, and then does what the test tells it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.then: Callable[[list[outbox.Message]], Iterable[outbox.Message] | None] = (
            lambda messages: None
        )

    def __call__(self, messages: list[outbox.Message]) -> Iterable[outbox.Message] | None:
        numbers = [message.payload["order_id"] for message in messages]
        self.batches.append(numbers)
        Tag.objects.bulk_create(Tag(name=f"filled {number}") for number in numbers)
        return self.then(messages)


class Poison(Exception):
    pass


def enqueue(task: Task[Any], *numbers: int) -> list[outbox.Message]:
    with transaction.atomic():
        messages = [task.enqueue(order_id=number) for number in numbers]
    make_due()
    return messages


def make_due() -> None:
    """As if all leases and waits were over, also for a claim in this test's transaction."""
    long_ago = timezone.now() - dt.timedelta(minutes=10)
    OutboxMessage.objects.update(due_at=long_ago)


def filled() -> set[int]:
    return {int(name.split()[1]) for name in Tag.objects.values_list("name", flat=True)}


def rows(state: str | None = None) -> dict[int, OutboxMessage]:
    found = OutboxMessage.objects.filter(**({"state": state} if state else {}))
    return {row.payload["order_id"]: row for row in found}


def poisoned(*numbers: int, error: Exception | None = None) -> Callable[..., None]:
    """What fails if one of these messages is in the batch."""

    def fail(messages: list[outbox.Message]) -> None:
        if {message.payload["order_id"] for message in messages} & {*numbers}:
            raise error or Poison("a poisoned message")

    return fail
