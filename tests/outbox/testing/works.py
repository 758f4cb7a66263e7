"""A task's body that fails so often, and what it leaves."""

from __future__ import annotations

from typing import Any

from django.db import transaction

import outbox
from app.models import Tag
from outbox.declaration import Task


class Broken(Exception):
    pass


class Works:
    """A body that fails so often, and then works."""

    def __init__(self, failures: int = 0, error: type[Exception] = Broken) -> None:
        self.calls: list[int] = []
        self.failures = failures
        self.error = error

    def __call__(self, order_id: int) -> None:
        self.calls.append(order_id)
        Tag.objects.create(name=f"{order_id}/{len(self.calls)}")
        if len(self.calls) <= self.failures:
            raise self.error("broken")


def enqueue(task: Task[Any], **payload: Any) -> outbox.Message:
    with transaction.atomic():
        return task.enqueue(**payload)


def tags() -> list[str]:
    return list(Tag.objects.values_list("name", flat=True))
