"""All that a user writes for a webhook and an event type of their own: this one file."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

import outbox
from app.intake import accept, endpoint
from app.ledger import Delivery
from app.models import Category, Tag
from app.problem import FieldError
from app.strict_json import Invalid

PARTNER_SECRET = "whsec_" + "cGFydG5lcnMgaGF2ZSBhIHNlY3JldCBvZiB0aGVpciBvd24="
EVENT_TYPE = "tag.renamed"


@outbox.task(EVENT_TYPE)
def announce(name: str) -> None:
    Category.objects.get_or_create(name=f"announced {name}")


def store_tag(delivery: Delivery[Any]) -> outbox.Message:
    name = delivery.content.get("name") if isinstance(delivery.content, dict) else None
    if not isinstance(name, str) or not 1 <= len(name) <= 100:
        raise Invalid([FieldError("/name", "Expected a text of 1 to 100 characters.")])
    Tag.objects.get_or_create(name=name)
    return announce.enqueue(name=name)


@endpoint
def receive_tag(request: HttpRequest) -> HttpResponse:
    return accept(request, store=store_tag)


@endpoint
def receive_tag_of(request: HttpRequest, of: str) -> HttpResponse:
    return accept(request, store=store_tag)


@endpoint
def receive_from_partner(request: HttpRequest) -> HttpResponse:
    return accept(request, store=store_tag, secrets=(PARTNER_SECRET,))


urlpatterns = [
    path("webhooks/tags/", receive_tag),
    path("webhooks/of/<path:of>/", receive_tag_of),
    path("webhooks/partner/", receive_from_partner),
    path("", include("settings.urls")),
]
