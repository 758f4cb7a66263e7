"""The Celery application: ``celery -A settings worker``."""

from __future__ import annotations

import logging.config
import os
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.production")

app = Celery("pillarbox")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Log as Django's settings say: with a receiver here, Celery leaves the root logger alone."""
    from django.conf import settings  # the settings import this module

    logging.config.dictConfig(settings.LOGGING)
