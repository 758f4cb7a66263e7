"""django-celery-outbox: `send_task` writes a row, `celery_outbox_relay` sends it by Celery."""

from __future__ import annotations

import os
import signal

from django.core.management import call_command
from django.db import connection

from benchmarks.peers.kit import post
from benchmarks.peers.kit.addresses import Addresses
from benchmarks.peers.kit.celery_options import options
from benchmarks.peers.kit.child import serve
from benchmarks.peers.kit.django_peer import DjangoPeer
from benchmarks.peers.kit.first_statement import FirstStatement

RELAY = {"batch_size": 500, "idle_time": 0.0}
"""500 to 1,000 is what its page on tuning has for high volume."""
THREADS = {"": 1, "threads": 10}
"""One is what that page recommends, more it calls advanced; with more than 10 it was no faster."""


class DjangoCeleryOutbox(DjangoPeer):
    application = "django_celery_outbox"
    owed = "celery_outbox"

    def __init__(self, addresses: Addresses, variant: str) -> None:
        self._relay = {**RELAY, "publish_concurrency": THREADS[variant]}
        self.settings = {**self._relay, "confirm_publish": True, "metrics": False}
        super().__init__(
            addresses,
            CELERY_OUTBOX_APP="benchmarks.peers.django_celery_outbox.application.app",
            MONITORING_METRICS_ENABLED=False,  # it would send a datagram for each message
        )
        from benchmarks.peers.django_celery_outbox.application import app  # it needs the settings

        app.conf.update(options(addresses))
        self._app = app

    def dispatch(self, rows: int) -> float:
        """Its command, asked to end when the last message was sent: it marks that batch first."""
        from django_celery_outbox.signals import outbox_message_sent  # it needs Django set up

        left = rows

        def count(**_message: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGTERM)

        outbox_message_sent.connect(count)
        clock = FirstStatement()
        with connection.execute_wrapper(clock):
            call_command("celery_outbox_relay", **self._relay)
            seconds = clock.seconds_since()
        self.demand_none_left()
        return seconds

    def send(self, number: int) -> None:
        self._app.send_task(post.TASK, kwargs=post.arguments(number))


if __name__ == "__main__":
    serve(DjangoCeleryOutbox)
