"""Queues of the broker, on a connection of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import celery
from kombu import Queue


@contextmanager
def open_queue(name: str = "celery", url: str | None = None) -> Iterator[Queue]:
    """A queue as the service declares it, on the broker of the tests or the one of `url`."""
    with celery.current_app.connection_for_write(url, heartbeat=0) as broker:
        yield celery.current_app.amqp.queues[name](broker.default_channel)


@contextmanager
def emptied_queue() -> Iterator[Queue]:
    """The same, made if it is not there, without what an earlier run has left in it."""
    with open_queue() as queue:
        queue.declare()
        queue.purge()
        yield queue


def depth(queue: Queue) -> int:
    """Messages that wait in the broker; without a worker, all that it has."""
    channel: Any = queue.channel
    if hasattr(channel, "_size"):  # of kombu's own transports, which know no count of AMQP's
        return int(channel._size(queue.name))
    return int(queue.queue_declare(passive=True).message_count)
