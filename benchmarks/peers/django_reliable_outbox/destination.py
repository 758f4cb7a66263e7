"""A destination that sends a Celery task, as the README of django-reliable-outbox suggests."""

from __future__ import annotations

from typing import Any

from celery import Celery

from benchmarks.peers.kit import post

app = Celery("peer", set_as_current=False)


class CeleryTask:
    """Returns when the broker has confirmed it."""

    def deliver(self, envelope: Any) -> None:
        app.send_task(post.TASK, kwargs=envelope.payload, task_id=str(envelope.message_id))
