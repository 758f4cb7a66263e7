"""A task that a real worker loads: it reads as any task might, and writes down what it saw."""

from __future__ import annotations

import json

import outbox
from app.models import Post
from outbox.models import OutboxMessage

NAME = "story.look"
LEASED_NAME = "story.look_leased"
QUEUE = "story"


def look(source_id: str) -> None:
    """Names no database: where its reads go is the router's choice, for this kind of pool."""
    post = Post.objects.get(source_id=source_id)
    late = post.tags.order_by("name").values_list("name", flat=True)
    link = Post.tags.through.objects.filter(post_id=post.pk).order_by("pk")[0]
    saw = {
        "categories": sorted(category.name for category in post.categories.all()),
        "tags": sorted(tag.name for tag in post.tags.all()),
        "foreign key": link.post.title,
        "exists": Post.objects.filter(tags__name="alpha").exists(),
    }
    saw["evaluated late"] = list(late)
    me = outbox.current_message()
    # Beside the task's own row, so that it is seen by whoever looks for the rest.
    post.body += json.dumps({me.event_type: saw}, sort_keys=True) + "\n"
    post.save(update_fields=["body"])
    assert OutboxMessage.objects.filter(pk=me.id).exists()


def declare_here() -> None:
    """Declare both, in the worker: `celery -I tests.promises.pool_tasks`."""
    outbox.task(NAME, name=NAME, queue=QUEUE)(look)
    outbox.task(LEASED_NAME, name=LEASED_NAME, queue=QUEUE, atomic=False, time_limit=20)(look)
