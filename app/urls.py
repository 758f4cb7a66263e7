from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from app import health, messages, reading, webhook
from app.openapi import view as openapi


class SourceId(StringConverter):
    """A source's own id, slashes and all: any text but NUL, which PostgreSQL does not take."""

    regex = r"[^\x00]+"


register_converter(SourceId, "source_id")

urlpatterns = [
    path("webhooks/posts/", webhook.receive, name="webhook"),
    path("messages/<str:message_id>/", messages.show, name="message"),
    path("posts/", reading.index, name="posts"),
    path("posts/<source_id:source_id>/", reading.show, name="post"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("openapi.json", openapi.show, name="openapi"),
]
