"""The Celery application, as django-celery-outbox wants it."""

from __future__ import annotations

from django_celery_outbox import OutboxCelery

app = OutboxCelery("peer", set_as_current=False)
