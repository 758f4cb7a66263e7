"""How many messages the relay claims at once."""

from __future__ import annotations

from time import monotonic

FIRST = 200
QUICK_SECONDS = 0.2
"""A batch that takes less may be twice as large the next time. It is about how long a stop waits,
and a slow broker has small batches to confirm in time."""


class BatchSize:
    """Small at first, so that a message that comes alone waits for no others; in a backlog twice as
    large each time, up to `most`, while batches are full and quick.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._first = min(FIRST, most)
        self._size = self._first
        self._at = float("-inf")

    def next(self, *, full: bool) -> int:
        """The size of the next batch; `full` says that there was enough for the last one."""
        now = monotonic()
        took, self._at = now - self._at, now
        if not full:
            self._size = self._first
        elif took < QUICK_SECONDS:
            self._size = min(2 * self._size, self._most)
        elif took > 2 * QUICK_SECONDS:
            self._size = max(self._size // 2, self._first)
        return self._size
