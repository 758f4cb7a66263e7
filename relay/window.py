"""The in-flight window: the backlog waits in the table, not in the broker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from outbox import backlog, registry
from outbox.conf import outbox_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outbox.message import Message

MEASURE_SECONDS = 1.0
"""How old a count may get. Between two counts the relay adds what it sends itself."""


class Window:
    """How many more messages each queue may have dispatched and not yet done.

    A window of its own for each queue, so that one without workers fills up and stops itself,
    and no other.
    """

    def __init__(self) -> None:
        self._in_flight: dict[str, int] = {}
        self._queues: set[str] = set()
        self._measured_at = float("-inf")

    def measure(self) -> None:
        """Count what is in flight, and find the queues, if the last count is a second old."""
        if time.monotonic() - self._measured_at < MEASURE_SECONDS:
            return
        self._in_flight = backlog.in_flight()
        self._queues = registry.queues() | backlog.ready_queues() | set(self._in_flight)
        self._measured_at = time.monotonic()

    def queues(self) -> list[str]:
        """Every queue that has messages or may get some."""
        return sorted(self._queues)

    def rooms(self, limit: int) -> dict[str, int]:
        """The queues that may take more, and how many, at most `limit` each."""
        most = outbox_settings().max_in_flight
        rooms = {q: min(limit, most - self._in_flight.get(q, 0)) for q in self.queues()}
        return {queue: room for queue, room in rooms.items() if room > 0}

    def sent(self, messages: Iterable[Message]) -> None:
        """Count messages that were ready before and are dispatched now."""
        for message in messages:
            self._in_flight[message.queue] = self._in_flight.get(message.queue, 0) + 1
