"""Whether deliveries are taken in, decided by what is known already: no request asks the database.

A sampler tells what waits, about once a second; between two samples a process adds what it has
itself taken in. The sender's retries are the buffer: who is refused early loses nothing, and what
is stored already is worked in time.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REOPENS_AT: Final = 0.8
"""The share of a limit that it must fall to before the door is opened again."""
STALE_SECONDS: Final = 6.0
"""A sample that is older says nothing: the server has cancelled each later one, as it does
while a migration holds the table, or we ourselves stood still."""


class Closed(StrEnum):
    """Why no delivery is taken in."""

    BACKLOG = "backlog"
    LATE = "late"
    DATABASE = "database"
    NO_SAMPLE = "no_sample"


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond these the door is closed."""

    backlog: int
    """Messages that wait to be prepared or sent."""
    late: float
    """Seconds that the oldest one may be late which waits for its first preparation."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What waits, as the database sees it; `outbox.waiting` tells what the two mean."""

    waiting: int
    late: float


class Admission:
    """The door of one process: open until a first sample says otherwise, or none comes in time."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = monotonic) -> None:
        self.limits = limits
        self.last = Sample(0, 0.0)
        """The last good sample; the count stops at the limit."""
        self._clock = clock
        self._fresh_until = clock() + STALE_SECONDS
        self._away = False
        self._full: Closed | None = None
        self._storing = 0
        self._stored = 0
        self._stored_before = 0

    def closed(self) -> Closed | None:
        """Return why a delivery that comes now is not taken in; None if it is."""
        if self._away:
            return Closed.DATABASE
        if self._clock() > self._fresh_until:
            return Closed.NO_SAMPLE
        if self._full is None and self._estimate() >= self.limits.backlog:
            # Not remembered: the next sample confirms or undoes it. What one worker believes must
            # not keep it closed down to four fifths, where the others know better.
            return Closed.BACKLOG
        return self._full

    @contextmanager
    def storing(self) -> Iterator[None]:
        """Count a delivery while it is being stored; `stored`, called inside, says that it was."""
        self._storing += 1
        try:
            yield
        finally:
            self._storing -= 1

    def stored(self) -> None:
        """Count a delivery that was new, until a sample has it."""
        self._stored += 1

    def mark(self) -> int:
        """Return what `sampled` needs to know of the moment before the sample is taken."""
        return self._stored

    def sampled(self, sample: Sample, mark: int) -> None:
        """Take what the database has said. What was stored since `mark` counts on top of it.

        What was being stored at that moment may be in the sample too: it then counts twice, rather
        than never.
        """
        self.last = sample
        self._stored_before = mark
        self._away = False
        self._fresh_until = self._clock() + STALE_SECONDS
        if self._reaches(sample.waiting, self.limits.backlog):
            self._full = Closed.BACKLOG
        elif self._reaches(sample.late, self.limits.late):
            self._full = Closed.LATE
        else:
            self._full = None

    def lost(self) -> None:
        """Close at once: the database cannot be reached, or takes no writes."""
        self._away = True

    def _reaches(self, number: float, limit: float) -> bool:
        """Whether it closes the door, or keeps it closed."""
        return number >= limit if self._full is None else number > limit * REOPENS_AT

    def _estimate(self) -> int:
        return self.last.waiting + self._storing + self._stored - self._stored_before
