"""How the tests of the post-processor make messages, apply them and look at the result."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction

from app.change import Change
from app.models import Post
from app.payload import parse
from app.post_processor import fill_posts
from outbox import Message
from tests.factories import event, signed_delivery

if TYPE_CHECKING:
    from collections.abc import Callable


def message(event_type: str = "post.created", *args: Any, **kwargs: Any) -> Message:
    """The message of an event, as a claim would read it. `webhook_id` may be given."""
    webhook_id = kwargs.pop("webhook_id", "msg_1")
    body = signed_delivery(event(event_type, *args, **kwargs)).body
    change = Change(parse(body), webhook_id)
    return Message(uuid.uuid4(), event_type, "task", "queue", change.to_payload())


def fill(*messages: Message) -> list[Message]:
    with transaction.atomic():
        return fill_posts(list(messages))


def state(source_id: str = "post-1") -> tuple[Any, ...]:
    """A Post as a reader could see it, with the version that it is in."""
    post = Post.everything.get(source_id=source_id)
    return (
        post.title,
        post.body,
        {category.name for category in post.categories.all()},
        {tag.name for tag in post.tags.all()},
        post.source_timestamp,
        post.source_event,
        post.deleted_at,
    )


def closing(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function for a thread of its own, whose connections it closes."""

    def run(*args: Any) -> Any:
        try:
            return function(*args)
        finally:
            connections.close_all()

    return run


def in_thread(function: Callable[[], Any]) -> Any:
    """The result of the function, run in another session of the database."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(closing(function)).result(timeout=10)
