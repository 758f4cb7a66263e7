from __future__ import annotations

from django.urls import path

from app import health, messages, webhook

urlpatterns = [
    path("webhooks/posts/", webhook.receive, name="webhook"),
    path("messages/<str:message_id>/", messages.show, name="message"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
]
