"""What is due to be sent, as far as this relay has looked."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from outbox import backlog
from outbox.allowance import Allowance
from outbox.watermark import START, Watermark

if TYPE_CHECKING:
    from collections.abc import Iterator

WHOLE_SECONDS = 60.0
"""How long a look may leave out what one before has found to be empty."""
LOOK_SECONDS = 0.9
"""How old a look may get where messages are expected to be ready."""


class Due:
    """Which kinds of messages a step should claim, and where in their indexes the claims begin.

    A look at everything is as seldom as its cost demands. In between, the claims go on from where
    they were: for ready messages always, for the other kinds while there are some.
    """

    def __init__(self) -> None:
        self.ready = self.overdue = self.suspect = False
        self.overdue_seen, self.suspect_seen = Watermark(), Watermark()
        self._ready_seen = Watermark()
        self._whole, self._narrow = Allowance(WHOLE_SECONDS), Allowance()
        self._from_start = Allowance()
        self._none_before = START
        self._looked_at = START

    def look(self, *, expecting: bool = False) -> bool:
        """Whether any kind may have something due.

        Where ready ones are expected, the claim of those is a look too, and a cheaper one.
        """
        if expecting and monotonic() - self._looked_at < LOOK_SECONDS:
            self.ready = True
        elif self._whole.granted():
            self.overdue_seen.forget()
            self.suspect_seen.forget()
            self._look(self._whole, START)
        elif self._narrow.granted():
            self._look(self._narrow, self._none_before)
        else:
            self.ready = True  # the claim will tell
        return self.ready or self.overdue or self.suspect

    def _look(self, allowance: Allowance, since: float) -> None:
        self._looked_at = monotonic()
        with allowance.spent():
            # A look from somewhere on leaves the ready ones to the claim, which begins further on:
            # theirs may be older, of a transaction that was long or a queue that had no room.
            found = backlog.due_to_send(since, ready=self.ready or since > START)
        self.ready, self.overdue, self.suspect, at = found
        if not (self.overdue or self.suspect):
            self._none_before = at

    @contextmanager
    def claiming_ready(self) -> Iterator[Watermark]:
        """Claim ready messages inside, from where this says."""
        if not self._from_start.granted():
            yield self._ready_seen
            return
        self._ready_seen.forget()
        with self._from_start.spent():
            yield self._ready_seen
