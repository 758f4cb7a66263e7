"""Posts filled one by one through the ORM: `.add()`, and a transaction for each."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, Self

from django.db import connection, transaction
from django.db.models.functions import Now

from benchmarks.frame.arm import Slice
from benchmarks.frame.stage import Stage
from benchmarks.ours.pending import WORK, pending, verify

POSTS_PER_SECOND = 1_500
"""More than it can do: they must not run out."""


class FillByAdd:
    """One process, one Post after the other."""

    name = "ORM, .add() per Post"
    unit = "filled Post"
    settings: Mapping[str, Any] = {"processes": 1, "Posts in a transaction": 1, "work": WORK}

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        connection.close()

    def run(self, seconds: float) -> Slice:
        from outbox.models import OutboxMessage  # needs the settings, as those below

        pending(self._stage, max(1, round(seconds * POSTS_PER_SECOND)))
        messages = list(OutboxMessage.objects.order_by("due_at").only("id", "payload"))
        done = 0
        with self._stage.meter(process=[os.getpid()]).turn() as turn:
            end = time.monotonic() + seconds
            for message in messages:
                if time.monotonic() >= end:
                    break
                _fill(message)
                done += 1
        verify(self._stage, done)
        return turn.slice(done)


def _fill(message: Any) -> None:
    from app.models import Category, Post, Tag

    change = message.payload
    with transaction.atomic():
        post = Post.everything.select_for_update().get(source_id=change["source_id"])
        post.title, post.body = change["title"], change["body"]
        post.source_timestamp, post.source_event = change["timestamp"], change["webhook_id"]
        post.save()
        found = [Category.objects.get_or_create(name=name)[0] for name in change["categories"]]
        post.categories.add(*found)
        post.tags.add(*[Tag.objects.get_or_create(name=name)[0] for name in change["tags"]])
        message.state, message.ready_at = "ready", Now()
        message.save(update_fields=["state", "ready_at"])
