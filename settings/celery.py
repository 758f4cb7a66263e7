"""The Celery application: ``celery -A settings worker``."""

from __future__ import annotations

import logging.config
import os
import signal
from typing import Any

from celery import Celery, bootsteps, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.production")

app = Celery("pillarbox")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

TICK_SECONDS = 0.25


class Tick(bootsteps.StartStopStep):
    """Turns the worker's loop a few times a second, so that an idle worker hears a signal to stop.

    Without heartbeats the loop sleeps until a message comes, and a signal does not wake it: a stop
    would take ten seconds and more.
    """

    requires = ("celery.worker.components:Timer",)

    def start(self, parent: Any) -> None:
        parent.timer.call_repeatedly(TICK_SECONDS, lambda: None)


app.steps["worker"].add(Tick)


@signals.worker_shutting_down.connect
def die_of_the_second_signal(**_: Any) -> None:
    """Have the next SIGTERM or SIGINT end the worker as the OS does by default.

    Celery ignores a second SIGTERM, and with a pool of threads even its cold shutdown waits for the
    tasks. Nothing is lost: what was not done is neither acknowledged nor committed.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


@signals.setup_logging.connect
def configure_logging(**_: Any) -> None:
    """Log as Django's settings say: with a receiver here, Celery leaves the root logger alone."""
    from django.conf import settings  # the settings import this module

    logging.config.dictConfig(settings.LOGGING)


@signals.worker_ready.connect
def tell_readiness(**_: Any) -> None:
    """Tell systemd that the worker takes messages: not before it has reached its broker."""
    from outbox import systemd  # only a worker needs it

    systemd.notify("READY=1\nSTATUS=working")
