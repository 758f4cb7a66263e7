"""The message as the code that handles it sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from outbox.refusals import NO_RESULT, RESULT_NAMES
from outbox.states import State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID


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

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Message:
        """A message from `statements.COLUMNS`, its payload and whether it is a suspect."""
        message_id, event_type, task, queue, attempts, sends, token, payload, suspect = row
        arguments = {} if payload == "{}" else json.loads(payload)
        return cls(message_id, event_type, task, queue, arguments, attempts, sends, token, suspect)

    @property
    def as_claimed(self) -> dict[str, Any]:
        """The columns that tell whether the row still stands as it was read."""
        return {name: getattr(self, name) for name in ("id", "lease_token", "attempts", "sends")}

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in RESULT_NAMES:
                raise AttributeError(f"Message has no {name!r}: {NO_RESULT}.")
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class Draft(NamedTuple):
    """A message that is checked and not stored yet, by the names of its columns."""

    id: UUID
    event_type: str
    task: str
    queue: str
    payload: str
    """A JSON object that PostgreSQL can store."""
    state: State
    """The one that it begins in."""


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

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Taken:
        """From what a worker's lock returns."""
        *columns, state, stale, running, wordless, now = row
        return cls(Message.from_row([*columns, False]), State(state), stale, running, wordless, now)
