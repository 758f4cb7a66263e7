"""The in-flight window: the backlog waits in the table, not in the broker."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from outbox import backlog, registry
from outbox.allowance import Allowance
from outbox.conf import outbox_settings
from outbox.watermark import START

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from outbox.message import Message

MEASURE_SECONDS = 1.0
"""How old a look may get. Between two counts the relay adds what it sends itself."""
WHOLE_SECONDS = 60.0
"""How long a look may leave out what one before has seen."""
SHARES = 16
"""A relay claims such a part of the room that it found at most, and then counts again: what several
have in the air together, which none of them finds by counting, is less than the room."""
LEAST = 64
"""But so many at least: relays may exceed a window by what they have of these in the air."""


class Window:
    """How many more messages each queue may have dispatched and not yet done.

    A window of its own for each queue, so that one without workers fills up and stops itself,
    and no other.
    """

    def __init__(self) -> None:
        self._counted: dict[str, int] = {}
        self._sent: Counter[str] = Counter()  # since the count
        self._queues: set[str] = set()
        self._found_at = float("-inf")
        self._finding, self._counting = Allowance(WHOLE_SECONDS), Allowance(WHOLE_SECONDS)
        self._found_since = START
        self._oldest: dict[str, float] = {}  # by queue, when the first is due again
        self._next = START  # what was sent since is not due before

    def measure(self, limit: int, unmarked: Iterable[Message] = ()) -> None:
        """Find the queues, and count what is in flight, where the last look may be wrong by now.

        While each queue has room for `limit` more, it does not matter how much was done since.
        What is sent and not marked yet is not found by counting.
        """
        old = time.monotonic() - self._found_at >= MEASURE_SECONDS
        if self._share_is_used() or (old and self._scarce(limit)):
            self._counted = self._count()
            self._sent.clear()
            self.sent(unmarked)
        if old:
            self._find_queues()
            self._found_at = time.monotonic()

    def _find_queues(self) -> None:
        if self._finding.granted():
            self._queues, self._found_since = set(), START
            with self._finding.spent():
                found = backlog.ready_queues()
        else:
            found = backlog.ready_queues(self._found_since)
        self._queues |= registry.queues() | found.keys() | self._counted.keys()
        self._found_since = max(found.values(), default=self._found_since)

    def _count(self) -> dict[str, int]:
        """What is in flight: all, or while the entries of what is done are in the way, all of it
        that is as young as the oldest found before.

        That leaves out a message whose time comes sooner now than it did then: one that a worker
        runs without a transaction.
        """
        if not self._counting.granted():
            known = self._queues | self._oldest.keys()
            return backlog.in_flight_since({q: self._oldest.get(q, self._next) for q in known})
        with self._counting.spent():
            found, self._oldest, at = backlog.in_flight_with_times()
        self._next = at + outbox_settings().redispatch_seconds
        return found

    def _scarce(self, limit: int) -> bool:
        most = outbox_settings().max_in_flight
        known = self._counted.keys() | self._sent.keys()
        return not known or any(self._room(queue, most) < limit for queue in known)

    def _room(self, queue: str, most: int) -> int:
        return most - self._counted.get(queue, 0) - self._sent[queue]

    def _share_is_used(self) -> bool:
        """Whether other relays, who found the same room, may have left no more of it."""
        most = outbox_settings().max_in_flight
        return any(
            (sent + 1) * SHARES > most - self._counted.get(queue, 0)
            for queue, sent in self._sent.items()
        )

    def queues(self) -> list[str]:
        """Every queue that has messages or may get some."""
        return sorted(self._queues)

    def rooms(self, limit: int) -> dict[str, int]:
        """The queues that may take more, and how many at once, at most `limit` each."""
        most = outbox_settings().max_in_flight
        rooms = {queue: self._room(queue, most) for queue in self.queues()}
        return {
            queue: min(limit, room, max(room // SHARES, LEAST))
            for queue, room in rooms.items()
            if room > 0
        }

    def has_more(self, rooms: Mapping[str, int], claimed: Iterable[Message]) -> bool:
        """Whether a queue gave as many as its room was, and has room left now that they count."""
        found = Counter(message.queue for message in claimed)
        still = self.rooms(1)
        return any(found[queue] >= room and queue in still for queue, room in rooms.items())

    def sent(self, messages: Iterable[Message], times: int = 1) -> None:
        """Count messages that were ready before and are dispatched now, or -1 times: are not."""
        for queue, number in Counter(message.queue for message in messages).items():
            self._sent[queue] += times * number
