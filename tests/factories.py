"""What tests are made of: rows in the database, and deliveries as a sender would sign them."""

from __future__ import annotations

import json
import time
import uuid
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import factory

from app.models import Category, Post, Tag, WebhookDelivery
from app.signature import sign

if TYPE_CHECKING:
    from collections.abc import Iterable

SECRET = "whsec_" + b64encode(b"a secret for tests, 32 bytes it i").decode()
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class CategoryFactory(factory.django.DjangoModelFactory[Category]):
    class Meta:
        model = Category

    name = factory.Sequence(lambda n: f"category {n}")


class TagFactory(factory.django.DjangoModelFactory[Tag]):
    class Meta:
        model = Tag

    name = factory.Sequence(lambda n: f"tag {n}")


class PostFactory(factory.django.DjangoModelFactory[Post]):
    """A filled Post. `categories` and `tags` take names; `source_timestamp=None` makes it unfilled.

    With `deleted_at` it is a tombstone, as the deletion at that time left it.
    """

    class Meta:
        model = Post
        skip_postgeneration_save = True

    class Params:
        unfilled = factory.Trait(source_timestamp=None, source_event="", title="", body="")
        deleted = factory.Trait(
            deleted_at=factory.SelfAttribute("source_timestamp"), title="", body=""
        )

    source_id = factory.Sequence(lambda n: f"post-{n}")
    title = factory.Sequence(lambda n: f"Title {n}")
    body = "A body."
    source_timestamp = EPOCH
    source_event = factory.Sequence(lambda n: f"msg_{n}")

    @classmethod
    def _create(cls, model_class: type[Post], *args: Any, **kwargs: Any) -> Post:
        return model_class.everything.create(*args, **kwargs)

    @factory.post_generation
    def categories(self: Any, _create: bool, names: Iterable[str] | None, **_: Any) -> None:
        for name in names or ():
            self.categories.add(Category.objects.get_or_create(name=name)[0])

    @factory.post_generation
    def tags(self: Any, _create: bool, names: Iterable[str] | None, **_: Any) -> None:
        for name in names or ():
            self.tags.add(Tag.objects.get_or_create(name=name)[0])


class WebhookDeliveryFactory(factory.django.DjangoModelFactory[WebhookDelivery]):
    class Meta:
        model = WebhookDelivery

    webhook_id = factory.Sequence(lambda n: f"msg_{n}")
    digest = factory.LazyAttribute(lambda delivery: sha256(delivery.webhook_id.encode()).digest())
    message_id = factory.LazyFunction(uuid.uuid4)


def event(
    event_type: str = "post.created",
    source_id: str = "post-1",
    *,
    at: datetime | int = 0,
    **data: Any,
) -> dict[str, Any]:
    """An event as a sender words it. `at` is its timestamp, or seconds since `EPOCH`."""
    timestamp = at if isinstance(at, datetime) else EPOCH + timedelta(seconds=at)
    content: dict[str, Any] = {"id": source_id}
    if event_type != "post.deleted":
        content |= {"title": "A title", "body": "A body.", "categories": ["news"], "tags": ["a"]}
    return {"type": event_type, "timestamp": timestamp.isoformat(), "data": content | data}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A signed request: `client.post(url, **delivery.request)` sends it through Django's client."""

    body: bytes
    headers: dict[str, str]

    @property
    def request(self) -> dict[str, Any]:
        return {
            "data": self.body,
            "content_type": "application/json",
            "headers": self.headers,
        }


def signed_delivery(
    content: dict[str, Any] | bytes | None = None,
    *,
    webhook_id: str | None = None,
    secret: str = SECRET,
    timestamp: int | None = None,
) -> Delivery:
    """A delivery of `content` (an event by default), signed now with `secret`."""
    body = content if isinstance(content, bytes) else json.dumps(content or event()).encode()
    webhook_id = webhook_id or f"msg_{uuid.uuid4().hex}"
    seconds = int(time.time()) if timestamp is None else timestamp
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": sign(secret, webhook_id, seconds, body),
    }
    return Delivery(body, headers)
