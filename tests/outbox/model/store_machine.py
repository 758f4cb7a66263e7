"""The state machine: all that can be done to messages, and in the end all work is done."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.outbox.model import specification as spec
from tests.outbox.model.claiming import ALL, LIMITS, VERBS, Claiming
from tests.outbox.model.losing import Losing
from tests.outbox.model.process import Process
from tests.outbox.model.settling import Settling
from tests.outbox.model.stage import drawn_from
from tests.outbox.model.workers import Workers

MANY = 100


class StoreMachine(Claiming, Settling, Workers, Losing):
    """Any order of steps; then whoever is left works until nothing is owed."""

    def __init__(self, processes: Sequence[Process]) -> None:
        super().__init__(processes)
        # A failure is repeated while it is being handled.
        self._before = sys.exc_info()[1]

    @precondition(lambda self: self.idle)
    @rule(process=drawn_from("idle"), kind=drawn_from("fruitful"), limit=LIMITS)
    def step(self, process: Process, kind: str, limit: int) -> None:
        """What a post-processor or a relay does most of the time: claim, and end it well."""
        if claimed := self.claimed_by(process, kind, ALL, limit):
            (self.mark_ready if "pending" in kind else self.mark_dispatched)(process, claimed)

    @precondition(lambda self: len(self.idle) > 1)
    @rule(kind=st.sampled_from(["ready", "overdue", "unsent suspect"]))
    def send_to_a_fast_worker(self, kind: str) -> None:
        """It has taken the message before the relay could mark it."""
        relay, worker = self.idle[:2]
        for claimed in self.claimed_by(relay, kind, ALL, 1)[:1]:
            self.take(worker, claimed.message.id)

    def teardown(self) -> None:
        try:
            self._kill()
            if sys.exc_info()[1] is self._before:  # else a step has failed, and is to be told
                self._work_it_off()
        finally:
            self._kill()

    def _kill(self) -> None:
        for process in self.busy:
            self.books.end(process, commit=False)

    def _work_it_off(self) -> None:
        """Each due time has come: one round of ordinary claims must find all that is owed."""
        process = self.processes[0]
        self.books.pass_time(spec.LONGEST_WAIT)
        self.look(process)
        for kind in VERBS:
            while claimed := self.claimed_by(process, kind, ALL, MANY):
                (self.mark_ready if "pending" in kind else self.mark_dispatched)(process, claimed)
        for key in list(self.books.rows):
            self.take(process, key)
            if process.hand is not None:
                self.complete(process, dies=False, took=0)
        self.books.check()
        assert all(row.state == spec.DEAD for row in self.books.rows.values()), "left undone"
