"""Views that the webhook is compared with. The answers have as many bytes as the webhook's."""

from __future__ import annotations

import hashlib
import json
import threading
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from celery import shared_task
from django.conf import settings
from django.db import close_old_connections, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from app import health
from app.change import Change
from app.models import Category, Post, Tag, WebhookDelivery
from app.payload import parse
from app.proof import Signed, prove
from outbox import registry
from outbox.models import OutboxMessage

QUEUE = "benchmark.replaced"


@csrf_exempt
def echo(request: HttpRequest) -> HttpResponse:
    """The limit: read the body, parse it, answer. No signature, no database."""
    json.loads(request.body)
    return _accepted(UUID(int=0))


@shared_task(name="benchmark.index")
def index(_post: int) -> None:
    """What the design before started for each Post. Nobody runs it here."""


@csrf_exempt
def replaced(request: HttpRequest) -> HttpResponse:
    """The design before: a Post by the ORM, its task from `on_commit`, its relations in a thread.

    Nothing is verified, and no delivery is known again. Confirms are off, as is Celery's default.
    """
    data = json.loads(request.body)["data"]
    with transaction.atomic():
        post = Post.everything.create(
            source_id=data["id"],
            title=data["title"],
            body=data["body"],
            source_timestamp=timezone.now(),
            source_event="none",
        )
        transaction.on_commit(partial(index.apply_async, (post.pk,), queue=QUEUE))
    threading.Thread(target=_fill, args=(post, data)).start()
    return _accepted(UUID(int=post.pk))


def _fill(post: Post, data: dict[str, Any]) -> None:
    try:
        post.categories.add(*_named(Category, data["categories"]))
        post.tags.add(*_named(Tag, data["tags"]))
    finally:
        close_old_connections()


def _named(model: type[Any], names: list[str]) -> list[Any]:
    """One query where all are there, which is the usual case."""
    found = {each.name: each for each in model.objects.filter(name__in=names)}
    return [found.get(name) or model.objects.get_or_create(name=name)[0] for name in names]


@csrf_exempt
def orm(request: HttpRequest) -> HttpResponse:
    """The whole intake as the ORM does it: the same checks, and the same rows in a transaction."""
    signed = prove(request, settings.WEBHOOK_SECRETS)
    if not isinstance(signed, Signed):
        return signed
    event = parse(signed.body)
    message = OutboxMessage(
        id=uuid4(),
        event_type=event.type,
        task=registry.get(event.type).name,
        queue=registry.get(event.type).queue,
        payload=Change(event, signed.webhook_id).to_payload(),
        state=registry.first_state(event.type).value,
    )
    with transaction.atomic():
        WebhookDelivery.objects.create(
            webhook_id=signed.webhook_id,
            endpoint=request.path_info,
            digest=hashlib.sha256(signed.body).digest(),
            key=signed.key,
            message_id=message.pk,
        )
        Post.everything.get_or_create(source_id=event.source_id)
        message.save(force_insert=True)
    return _accepted(message.pk)


def _accepted(number: UUID) -> HttpResponse:
    url = f"/messages/{number}/"
    told = {"message_id": str(number), "state": "pending", "status_url": url}
    answer = JsonResponse(told, status=202, headers={"Location": url})
    answer.headers["Content-Length"] = str(len(answer.content))  # else it is sent in chunks
    return answer


urlpatterns = [
    path("echo/", echo),
    path("replaced/", replaced),
    path("orm/", orm),
    path("readyz", health.readyz),
]
