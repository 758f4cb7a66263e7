"""Claims that could not be given back yet, because the database was away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outbox import store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outbox.message import Message


class Refunds:
    """Gives claims back unspent, on the next connection if this one is lost.

    An outage is nobody's fault and spends no attempts. The lease token guards the late write: a
    message that somebody else has claimed meanwhile is theirs. A process that dies in the outage
    spends one attempt for what it held.
    """

    def __init__(self) -> None:
        self._owed: list[tuple[list[Message], float, bool]] = []

    def owe(self, messages: Sequence[Message], *, delay: float = 0.0, unsent: bool = False) -> None:
        """Have the next `settle` release the claims, as `store.release` says."""
        if messages:
            self._owed.append((list(messages), delay, unsent))

    def settle(self) -> None:
        """Write what is still owed. Raises OperationalError while the database is away."""
        while self._owed:
            messages, delay, unsent = self._owed[0]
            store.release(messages, delay=delay, unsent=unsent)
            self._owed.pop(0)
