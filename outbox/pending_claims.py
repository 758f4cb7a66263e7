"""The batches of a post-processor: how large, and from where on."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from outbox import registry, store
from outbox.watermark import Watermark

if TYPE_CHECKING:
    from outbox.message import Message

FIRST_SIZE = 100
QUICK_SECONDS = 0.2
"""A batch that takes less may be twice as large the next time. It is also about how long the rows
stay locked that it writes, and it bounds the memory: large payloads take their time."""


class PendingClaims:
    """Claims pending messages of the types that are known here, at most `most` at once.

    When it is `growing` it begins with small batches, and lets them grow while they are full and
    quick.
    """

    def __init__(self, most: int, *, growing: bool = False) -> None:
        self.more = False
        """Whether the last claim found as many as it asked for."""
        self._most = most
        self._least = min(FIRST_SIZE, most) if growing else most
        self._size = self._least
        self._seen = Watermark()
        self._took_at = float("-inf")

    def take(self, *, from_start: bool = False) -> list[Message]:
        """Claim a batch.

        A claim begins where the last one ended, or the next one at the oldest message that is due.
        """
        self._grow()
        if from_start:
            self._seen.forget()
        known = registry.prepared_event_types()
        batch = store.claim_pending(known, limit=self._size, seen=self._seen)
        self.more = len(batch) >= self._size
        self._took_at = monotonic()
        return batch

    def _grow(self) -> None:
        took = monotonic() - self._took_at
        if self.more and took < QUICK_SECONDS:
            self._size = min(2 * self._size, self._most)
        elif self.more and took > 2 * QUICK_SECONDS:
            self._size = max(self._size // 2, self._least)
