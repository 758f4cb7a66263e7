"""What Celery's delayed delivery leaves in a broker: 28 quorum queues that nobody here uses."""

from __future__ import annotations

from typing import Any

from kombu import Connection
from kombu.transport import native_delayed_delivery as delayed


def remove_delayed_delivery(broker_url: str) -> None:
    """django-celery-outbox declares them whenever its relay starts."""
    with Connection(broker_url) as connection:
        channel: Any = connection.default_channel
        for level in range(delayed.MAX_LEVEL + 1):
            name = delayed.level_name(level)
            channel.queue_delete(name)
            channel.exchange_delete(name)
        channel.exchange_delete(delayed.CELERY_DELAYED_DELIVERY_EXCHANGE)
