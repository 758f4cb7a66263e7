"""How far the claims have come, so that they need not walk over what was done long ago.

A row that has left a state leaves a dead entry in that state's index, which VACUUM cannot remove
while any transaction, however idle, may still want to see it: a forgotten session, a long report.
A claim that begins at the start of the index then walks over every message since, 0.1 µs each, and
a relay that had sent 10,000 rows/s sends hundreds. So a claim begins where the last one ended.

It is a hint, and the state decides. What becomes due by its time comes after the mark; a message of
a transaction that took long to commit does not. So the mark stays behind the clock by a second, and
what is older than that waits for the next look from the start: see `outbox.allowance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

START = float("-inf")

# For a claim's condition on `due_at`; in the database's clock, as all times of the outbox are.
FROM_MARK = "least(to_timestamp({mark}), now() - interval '1 second')"


class Watermark:
    """The latest due time, in seconds since 1970, that was claimed of each queue."""

    def __init__(self) -> None:
        self._marks: dict[str, float] = {}

    def of(self, queues: Iterable[str]) -> list[float]:
        """Where the claims of these queues begin."""
        return [self._marks.get(queue, START) for queue in queues]

    def advance(self, queue: str, due_at: float) -> None:
        """A message was claimed that was due at that time."""
        if due_at > self._marks.get(queue, START):
            self._marks[queue] = due_at

    def forget(self) -> None:
        """Begin at the start again."""
        self._marks.clear()
