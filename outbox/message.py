"""The message as the code that handles it sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from outbox.refusals import NO_RESULT, RESULT_NAMES

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from outbox.states import State


@dataclass(frozen=True, slots=True)
class Message:
    """One outbox message, as it was when its claim (or its worker) read it.

    `attempts` counts the tries of the present step without a good end, this one included.
    `sends` is the number of this sending to the broker, 1 for the first.
    `lease_token` fences every write: it is worthless once somebody else has claimed the row.
    `suspect` says that the claim before this one ended in an error or without a word, so that
    the message is handled alone.
    `payload` is empty in the relay, which has no use for it.
    """

    id: UUID
    event_type: str
    task: str
    queue: str
    payload: dict[str, Any] = field(default_factory=dict)
    attempts: int = 0
    sends: int = 0
    lease_token: UUID | None = None
    suspect: bool = False

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in RESULT_NAMES:
                raise AttributeError(f"Message has no {name!r}: {NO_RESULT}.")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


@dataclass(frozen=True, slots=True)
class Taken:
    """A live row as the worker that locked it found it."""

    message: Message
    state: State
    stale: bool
    """A retry waits for its time: what reached the worker is an old copy."""
    running: bool
    """Another worker runs it without a transaction, under a lease of its own."""
    wordless: bool
    """A try was begun and counted, and has ended without a word: its process died, most likely."""
    at: datetime
    """The database's clock when the row was locked."""
