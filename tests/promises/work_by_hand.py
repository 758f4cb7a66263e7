"""A worker in the test's own thread."""

from __future__ import annotations

from uuid import UUID

from kombu import Queue

from tests.promises.by_hand import index


def work(queue: Queue) -> list[str]:
    """Take all that the broker has, and do it as a worker does; the outcomes."""
    outcomes = []
    while message := queue.get(no_ack=True):
        outcomes.append(index(UUID(message.properties["correlation_id"])))
    return outcomes
