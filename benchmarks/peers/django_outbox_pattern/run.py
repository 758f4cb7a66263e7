"""django-outbox-pattern: a `Published` row, sent over STOMP by `publish`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from django.db import connection

from benchmarks.peers.kit import post
from benchmarks.peers.kit.addresses import Addresses
from benchmarks.peers.kit.child import serve
from benchmarks.peers.kit.django_peer import DjangoPeer
from benchmarks.peers.kit.first_statement import FirstStatement

SETTINGS = {"DEFAULT_PRODUCER_WAITING_TIME": 0, "DEFAULT_PUBLISHED_CHUNK_SIZE": 1000}
"""It would sleep for a second between two passes, and read 200 rows at once."""
PERSISTENT = {"persistent": "true"}
"""Without this header RabbitMQ keeps a STOMP message in memory alone."""


class DjangoOutboxPattern(DjangoPeer):
    application = "django_outbox_pattern"
    owed = "published WHERE status <> 2"
    settings: Mapping[str, Any] = {**SETTINGS, "headers": PERSISTENT, "confirmed": False}

    def __init__(self, addresses: Addresses, _variant: str) -> None:
        broker = addresses.broker_parts
        super().__init__(
            addresses,
            DJANGO_OUTBOX_PATTERN={
                **SETTINGS,
                "DEFAULT_STOMP_HOST_AND_PORTS": [(broker.hostname, addresses.stomp_port)],
                "DEFAULT_STOMP_USERNAME": broker.username,
                "DEFAULT_STOMP_PASSCODE": unquote(broker.password or ""),
            },
        )
        self._destination = f"/amq/queue/{addresses.queue}"

    def dispatch(self, _rows: int) -> float:
        """One pass of its command, which takes all rows there are."""
        from django_outbox_pattern.factories import factory_producer  # it needs the settings

        clock = FirstStatement()
        with connection.execute_wrapper(clock):
            factory_producer().publish_message_from_database()
            seconds = clock.seconds_since()
        self.demand_none_left()
        return seconds

    def send(self, number: int) -> None:
        from django_outbox_pattern.models import Published  # it needs Django set up

        Published.objects.create(
            destination=self._destination, body=post.arguments(number), headers=PERSISTENT
        )


if __name__ == "__main__":
    serve(DjangoOutboxPattern)
