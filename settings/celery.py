"""The Celery application: ``celery -A settings worker``."""

from __future__ import annotations

import logging.config
import os
from typing import Any

from celery import Celery, bootsteps, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.production")

app = Celery("pillarbox")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class Tick(bootsteps.StartStopStep):
    """Turns the worker's loop once a second, so that an idle worker hears a signal to stop.

    Without heartbeats the loop sleeps until a message comes, and a signal does not wake it: a stop
    would take ten seconds and more.
    """

    requires = ("celery.worker.components:Timer",)

    def start(self, parent: Any) -> None:
        parent.timer.call_repeatedly(1.0, lambda: None)


app.steps["worker"].add(Tick)


@signals.setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Log as Django's settings say: with a receiver here, Celery leaves the root logger alone."""
    from django.conf import settings  # the settings import this module

    logging.config.dictConfig(settings.LOGGING)
