"""What receivers are told of a post."""

from __future__ import annotations

import json
from typing import Any

import outbox

from blog.models import Post
from blog.tasks import notify


def announce(event_type: str, post: Post) -> outbox.Message:
    """Store the webhook of a change, inside the transaction that makes the change.

    What is stored is the whole text to send. The post may be changed again before the webhook is
    delivered, and a later try must send the same bytes: a receiver knows a delivery by its id and
    refuses another body under it.
    """
    data: dict[str, Any] = {"id": str(post.pk)}
    if event_type != "post.deleted":
        data |= {
            "title": post.title,
            "body": post.body,
            "categories": sorted(category.name for category in post.categories.all()),
            "tags": sorted(tag.name for tag in post.tags.all()),
        }
    event = {"type": event_type, "timestamp": post.changed_at.isoformat(), "data": data}
    return notify.enqueue(body=json.dumps(event, ensure_ascii=False))
