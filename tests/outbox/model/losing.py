"""The steps of workers whose connection was lost, with a try in hand."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from outbox import store
from tests.outbox.model import specification as spec
from tests.outbox.model.process import Process
from tests.outbox.model.specification import Try
from tests.outbox.model.stage import DELAYS, Stage, drawn_from


class Losing(Stage):
    """Gives tries back that are nobody's fault, unless somebody has the message by now."""

    @property
    def tries(self) -> list[Try]:
        return [*self.lost, *self.begun, *self.leased]

    @property
    def likely_tries(self) -> list[Try]:
        """Those of messages that a worker has in hand by now, if there are any."""
        running = {process.hand.id for process in self.workers if process.hand is not None}
        return [tried for tried in self.tries if tried.id in running] or self.tries

    @precondition(lambda self: self.tries)
    @rule(
        process=drawn_from("processes"),
        lost=drawn_from("likely_tries"),
        delay=DELAYS,
        limit=st.integers(0, 3),
    )
    def give_back(self, process: Process, lost: Try, delay: int, limit: int) -> None:
        """A worker whose connection was lost is back, and asks whether the try is still its own."""
        row = self.books.seen_by(process).get(lost.id)
        left = row if row and spec.is_as_left(row, lost) else None
        message = lost.message
        is_left = process.run(lambda: store.is_as_left(message, counted=lost.counted))
        assert is_left is (left is not None)
        if lost in self.begun:
            self.begun.remove(lost)  # the process goes on with something else
        policy: dict[str, Any] = {"counted": lost.counted, "delay": delay, "limit": limit}
        state = process.run(lambda: store.give_back(message, "gone", **policy))
        if left is None or not self.books.is_free(process, lost.id):
            assert state is None
            return
        error = "lost its database: gone"
        given = spec.give_back(left, lost, self.books.now, delay, limit, error)
        assert state == given.state
        self.books.note(process, {lost.id: given})
