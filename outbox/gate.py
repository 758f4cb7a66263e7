"""Many tasks at a time in one process, or one alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

PATIENCE_SECONDS = 10.0
"""How long one that wants to be alone waits for the others to end, and they for it."""


BY_ITSELF = "by itself"
"""What `run` is told by a message that is not to be run beside others."""


class Gate:
    """Lets tasks through together; one that may kill its process, by itself.

    Its neighbours are threads of the same process, and would die with it. Both waits are bounded:
    a task that hangs, alone or not, does not hold up the others for longer.
    """

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self._patience = patience
        self._changed = threading.Condition()
        self._inside: list[int] = []  # threads; one that is inside does not wait for itself
        self._reserved_by: int | None = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Go in with others, once nobody is alone or about to be; at the latest after a while."""
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._reserved_by in (None, me), self._patience)
            self._inside.append(me)
        try:
            yield
        finally:
            with self._changed:
                self._inside.remove(me)
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Be the only one inside. False if the others did not end in time: then nothing is held."""
        me = threading.get_ident()
        before = self._reserved_by
        reserved = self._reserve(me)
        try:
            yield reserved
        finally:
            if reserved:
                self._reserve_for(before if before == me else None)

    def run(self, consume: Callable[[bool], str]) -> str:
        """Call `consume(among)` among others, and if it asks for that, again by itself.

        The threads of a worker die together, and none says who it was: run beside the same
        neighbours each time, what kills its process would use up their tries with its own.
        """
        with self.together():
            outcome = consume(True)
        if outcome is not BY_ITSELF:
            return outcome
        with self.alone() as alone:
            return consume(False) if alone else "busy"

    def _reserve(self, me: int) -> bool:
        end = monotonic() + self._patience
        with self._changed:
            if not self._changed.wait_for(lambda: self._reserved_by in (None, me), self._patience):
                return False
            self._reserved_by = me
            if self._changed.wait_for(lambda: {*self._inside} <= {me}, end - monotonic()):
                return True
        self._reserve_for(None)
        return False

    def _reserve_for(self, thread: int | None) -> None:
        with self._changed:
            self._reserved_by = thread
            self._changed.notify_all()
