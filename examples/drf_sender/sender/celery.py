"""The Celery application: `celery -A sender worker -Q webhooks`."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sender.settings")

app = Celery("sender")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
