"""django-jaiminho: a decorated function becomes a row, and `events_relay` calls it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management import call_command
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from benchmarks.peers.django_jaiminho.application import app, send_post
from benchmarks.peers.kit.addresses import Addresses
from benchmarks.peers.kit.celery_options import options
from benchmarks.peers.kit.child import serve
from benchmarks.peers.kit.django_peer import DjangoPeer
from benchmarks.peers.kit.first_statement import FirstStatement

SETTINGS = {"DELETE_AFTER_SEND": True, "PUBLISH_STRATEGY": "keep-order"}
"""Its strategy that is an outbox: the other one sends after the commit, and stores failures."""


class DjangoJaiminho(DjangoPeer):
    application = "jaiminho"
    owed = "jaiminho_event"
    settings: Mapping[str, Any] = {**SETTINGS, "confirm_publish": True}

    def __init__(self, addresses: Addresses, _variant: str) -> None:
        encoder = {"DEFAULT_ENCODER": DjangoJSONEncoder}
        super().__init__(addresses, JAIMINHO_CONFIG={**SETTINGS, **encoder})
        app.conf.update(options(addresses))

    def dispatch(self, _rows: int) -> float:
        """One pass of its command, which takes all rows there are."""
        clock = FirstStatement()
        with connection.execute_wrapper(clock):
            call_command("events_relay")
            seconds = clock.seconds_since()
        self.demand_none_left()
        return seconds

    def send(self, number: int) -> None:
        send_post(number)


if __name__ == "__main__":
    serve(DjangoJaiminho)
