"""django-reliable-outbox: `publish` writes a row, `outbox_worker` gives it to a destination."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.core.management import call_command

from benchmarks.peers.django_reliable_outbox.destination import app
from benchmarks.peers.kit import post
from benchmarks.peers.kit.addresses import Addresses
from benchmarks.peers.kit.celery_options import options
from benchmarks.peers.kit.child import serve
from benchmarks.peers.kit.django_peer import DjangoPeer

WORKER = {"concurrency": 8, "batch_size": 100, "poll_interval": 0.05, "burst": True}


class DjangoReliableOutbox(DjangoPeer):
    application = "reliable_outbox"
    owed = "reliable_outbox_outboxmessage WHERE status <> 'delivered'"
    settings: Mapping[str, Any] = {**WORKER, "confirm_publish": True}

    def __init__(self, addresses: Addresses, _variant: str) -> None:
        destination = "benchmarks.peers.django_reliable_outbox.destination.CeleryTask"
        super().__init__(
            addresses,
            RELIABLE_OUTBOX={"DESTINATIONS": {"default": {"BACKEND": destination}}},
        )
        app.conf.update(options(addresses))

    def dispatch(self, _rows: int) -> float:
        """Its command until nothing is due. Its threads' connections are within the time."""
        began = time.monotonic()
        call_command("outbox_worker", **WORKER)
        seconds = time.monotonic() - began
        self.demand_none_left()
        return seconds

    def send(self, number: int) -> None:
        from reliable_outbox import publish  # it needs the settings

        publish(post.TASK, post.arguments(number))


if __name__ == "__main__":
    serve(DjangoReliableOutbox)
