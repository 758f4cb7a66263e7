"""The in-flight window: the backlog waits in the table, not in the broker."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from outbox import backlog, registry
from outbox.conf import outbox_settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outbox.message import Message

MEASURE_SECONDS = 1.0
"""How old a count may get. Between two counts the relay adds what it sends itself."""
SHARES = 16
"""A relay counts again once it has filled such a part of the room that it found: so many relays
together then exceed no window by more than a batch each, however fast they are."""


class Window:
    """How many more messages each queue may have dispatched and not yet done.

    A window of its own for each queue, so that one without workers fills up and stops itself,
    and no other.
    """

    def __init__(self) -> None:
        self._counted: dict[str, int] = {}
        self._sent: Counter[str] = Counter()  # since the count
        self._queues: set[str] = set()
        self._measured_at = float("-inf")

    def measure(self) -> None:
        """Count what is in flight, and find the queues, if the last count may be wrong by now."""
        if time.monotonic() - self._measured_at < MEASURE_SECONDS and not self._share_is_used():
            return
        self._counted = backlog.in_flight()
        self._sent.clear()
        self._queues = registry.queues() | backlog.ready_queues() | set(self._counted)
        self._measured_at = time.monotonic()

    def _share_is_used(self) -> bool:
        """Whether other relays, who found the same room, may have left no more of it."""
        most = outbox_settings().max_in_flight
        return any(
            sent * SHARES >= most - self._counted.get(queue, 0)
            for queue, sent in self._sent.items()
        )

    def queues(self) -> list[str]:
        """Every queue that has messages or may get some."""
        return sorted(self._queues)

    def rooms(self, limit: int) -> dict[str, int]:
        """The queues that may take more, and how many, at most `limit` each."""
        most = outbox_settings().max_in_flight
        rooms = {
            queue: min(limit, most - self._counted.get(queue, 0) - self._sent[queue])
            for queue in self.queues()
        }
        return {queue: room for queue, room in rooms.items() if room > 0}

    def sent(self, messages: Iterable[Message]) -> None:
        """Count messages that were ready before and are dispatched now."""
        self._sent.update(message.queue for message in messages)
