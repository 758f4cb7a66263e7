"""What became of a declaration and of its messages."""

from __future__ import annotations

from typing import Any

import celery

import outbox
from outbox.declaration import Task
from outbox.models import OutboxMessage


def celery_task(task: Task[Any]) -> Any:
    return celery.current_app.tasks[task.name]


def stored(message: outbox.Message) -> OutboxMessage:
    return OutboxMessage.objects.get(pk=message.id)
