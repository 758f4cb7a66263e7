"""Pillarbox's worker with a task that drops one of its Post's tags."""

from __future__ import annotations

from typing import Any

from celery import signals

from settings.celery import app

__all__ = ["app"]


@signals.worker_ready.connect
def drop_a_tag_in_each_task(**_: Any) -> None:
    from app.models import Post
    from app.tasks import index_post

    whole = index_post.body

    def drop_a_tag(source_id: str, **change: object) -> None:
        whole(source_id, **change)
        post = Post.everything.get(source_id=source_id)
        post.tags.remove(*post.tags.order_by("name")[:1])

    index_post.body = drop_a_tag
