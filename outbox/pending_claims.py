"""The batches of a post-processor: how large, from where on, and the next one while one is worked.

While PostgreSQL writes one batch, its other processor and ours would wait. A thread claims and
reads the next batch meanwhile, on a connection of its own.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError, connections

from outbox import registry, store
from outbox.conf import outbox_settings
from outbox.watermark import Watermark

if TYPE_CHECKING:
    from outbox.message import Message

FIRST_SIZE = 100
QUICK_SECONDS = 0.2
"""A batch that takes less may be twice as large the next time. It is also about how long the rows
stay locked that it writes, and it bounds the memory: large payloads take their time."""

logger = logging.getLogger(__name__)


class PendingClaims:
    """Claims pending messages of the types that are known here, at most `most` at once.

    With `ahead` it begins with small batches, lets them grow while they are full and quick, and
    claims the next one while one is worked.
    """

    def __init__(self, most: int, *, ahead: bool = False) -> None:
        self.more = False
        """Whether the last claim found as many as it asked for."""
        self._most = most
        self._ahead = ahead
        self._size = min(FIRST_SIZE, most) if ahead else most
        self._seen = Watermark()
        self._took_at = float("-inf")
        self._thread: ThreadPoolExecutor | None = None
        self._next: Future[tuple[list[Message], bool] | None] | None = None

    def take(self, *, from_start: bool = False) -> list[Message]:
        """Claim a batch, or return the one that was claimed ahead.

        A claim begins where the last one ended, or the next one at the oldest message that is due.
        """
        self._grow()
        claimed, self._next = self._next.result() if self._next else None, None
        if from_start:
            self._seen.forget()
        batch, self.more = claimed or self._claim(self._size)
        if self._ahead and self.more:
            self._thread = self._thread or ThreadPoolExecutor(1, "outbox-claims")
            self._next = self._thread.submit(self._claim_ahead, self._size)
        elif not batch:
            self.rest()
        self._took_at = monotonic()
        return batch

    def close(self) -> list[Message]:
        """Claim no more. Return what was claimed and not taken, to be given back."""
        claimed, self._next = self._next.result() if self._next else None, None
        self.rest()
        return claimed[0] if claimed else []

    def rest(self) -> None:
        """Nothing is due: end the thread and its session."""
        if self._thread is not None:
            self._thread.submit(connections.close_all)
            self._thread.shutdown()
            self._thread = None

    def _grow(self) -> None:
        took = monotonic() - self._took_at
        if self.more and took < QUICK_SECONDS:
            self._size = min(2 * self._size, self._most)
        elif self.more and took > 2 * QUICK_SECONDS:
            self._size = max(self._size // 2, min(FIRST_SIZE, self._most))

    def _claim(self, size: int) -> tuple[list[Message], bool]:
        batch = store.claim_pending(registry.prepared_event_types(), limit=size, seen=self._seen)
        return batch, len(batch) >= size

    def _claim_ahead(self, size: int) -> tuple[list[Message], bool] | None:
        try:
            return self._claim(size)
        except (DatabaseError, InterfaceError) as error:
            # Whose turn it is next meets the same, and knows what to do about it.
            logger.debug("no batch was claimed ahead: %s", error)
            connections[outbox_settings().database].close()
            return None
