"""Work whose cost nobody knows before, for a small share of the time."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARE = 0.01
"""Of the time, in the long run."""
SAVED_SECONDS = 0.25
"""What may be spent at once when nothing was for a while."""
LONGEST_WAIT_SECONDS = 5.0
"""After which it is granted whatever it has cost before, unless one says otherwise."""


class Allowance:
    """Grants looks at all there is: each time while they are cheap, seldom when they are not.

    A look from the start of an index costs a fraction of a millisecond, or, where a forgotten
    transaction keeps every dead entry, a good part of a second.
    """

    def __init__(self, longest_wait: float = LONGEST_WAIT_SECONDS) -> None:
        self._longest_wait = longest_wait
        self._saved = SAVED_SECONDS
        self._at = monotonic()
        self._last = float("-inf")

    def granted(self) -> bool:
        """Whether it may be done now."""
        now = monotonic()
        self._saved = min(SAVED_SECONDS, self._saved + SHARE * (now - self._at))
        self._at = now
        return self._saved > 0 or now - self._last >= self._longest_wait

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Do it inside."""
        began = monotonic()
        try:
            yield
        finally:
            self._last = monotonic()
            debt = -SHARE * self._longest_wait
            self._saved = max(debt, self._saved - (self._last - began))
