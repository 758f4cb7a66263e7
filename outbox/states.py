"""The state machine as data. The CHECK constraints, the admin, the docs and the tests read it."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a live message stands, and who moves it on."""

    PENDING = "pending"
    """Stored, and owed its preparation: the post-processor takes it on."""
    READY = "ready"
    """Prepared, and owed to the broker: the relay takes it on. A task's retry waits here too."""
    DISPATCHED = "dispatched"
    """The broker has it: a worker takes it on, or the relay again when no receipt arrives."""
    DEAD = "dead"
    """Given up, with its error: an operator takes it on."""


DONE = "done"
"""Not a state of the live table: the row has left it for the history."""

MOVES: frozenset[tuple[State, State]] = frozenset(
    {
        (State.PENDING, State.READY),
        (State.READY, State.DISPATCHED),
        (State.DISPATCHED, State.READY),
        (State.PENDING, State.DEAD),
        (State.READY, State.DEAD),
        (State.DISPATCHED, State.DEAD),
        (State.DEAD, State.PENDING),
        (State.DEAD, State.READY),
    }
)
"""Every move from one state to another that `outbox.store` can make."""

FINISHABLE: frozenset[State] = frozenset({State.READY, State.DISPATCHED})
"""The states a task may finish from: a fast worker is often done before the relay has marked."""
