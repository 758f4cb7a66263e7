"""How far a demo is, by both databases."""

from __future__ import annotations

import time

from deploy.devstack.console import Console
from deploy.devstack.demo.records import Records
from deploy.devstack.demo.writers import Writers

PROGRESS = 5.0
"""Seconds between two lines of progress."""


class Watch:
    """Looks at how far everything is, and says so now and then."""

    def __init__(
        self, writers: Writers, sender: Records, receiver: Records, console: Console
    ) -> None:
        self.writers = writers
        self._sender = sender
        self._receiver = receiver
        self._console = console
        self._told = time.monotonic()

    def stored(self, number: int) -> bool:
        """Whether so many changes were answered, or no more will come."""
        self._tell()
        return len(self.writers.calls) >= number or self.writers.done

    def finished(self) -> bool:
        """Whether no more changes come and no message is owed work; the dead are owed none."""
        self._tell()
        # In this order: what the sender has delivered is in Pillarbox's database before.
        return self.writers.done and not any(map(_owed, (self._sender, self._receiver)))

    def _tell(self) -> None:
        if time.monotonic() - self._told < PROGRESS:
            return
        self._told = time.monotonic()
        # In this order, or more would seem to be done than was delivered.
        done, delivered = (each.states()["done"] for each in (self._receiver, self._sender))
        self._console.say(
            f"{len(self.writers.calls):,} changes stored, {delivered:,} delivered, {done:,} done"
        )


def _owed(records: Records) -> int:
    return sum(count for state, count in records.states().items() if state not in ("done", "dead"))
