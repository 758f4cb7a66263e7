"""What every step of the state machine stands on: processes, their transactions, and the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from outbox import partitions
from outbox.message import Message
from tests.outbox.model import specification as spec
from tests.outbox.model.books import Books
from tests.outbox.model.own_schema import FORGET, START
from tests.outbox.model.process import Process
from tests.outbox.model.specification import Try
from tests.sql import query

DAY = 86_400
DELAYS = st.sampled_from([0, 7, spec.LEASE, spec.HOUR])


def drawn_from(name: str) -> st.SearchStrategy[Any]:
    """One of what the machine has under that name when the step is taken."""
    return st.runner().flatmap(lambda machine: st.sampled_from(getattr(machine, name)))


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message as a claim gave it, which whoever made the claim may keep for ever."""

    number: int
    message: Message

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """As a failing example shows it."""
        printer.text(f"<claim {self.number}, of message {str(self.message.id)[:8]}>")


class Stage(RuleBasedStateMachine):
    """Processes that do nothing yet, and the model of what they have done."""

    def __init__(self, processes: Sequence[Process]) -> None:
        super().__init__()
        query(FORGET)
        self.processes = list(processes)
        for process in processes:
            process.seen.clear()
        self.books = Books(self.processes)
        self.books.pass_time(0)
        self.claims: list[Claimed] = []
        self.begun: list[Try] = []
        self.leased: list[Try] = []
        self.lost: list[Try] = []

    @property
    def idle(self) -> list[Process]:
        return [process for process in self.processes if process.began is None]

    @property
    def busy(self) -> list[Process]:
        return [process for process in self.processes if process.began is not None]

    @property
    def workers(self) -> list[Process]:
        return [process for process in self.processes if process.hand is not None]

    @property
    def ids(self) -> list[UUID]:
        return [*self.books.rows, *self.books.done]

    def must_wait(self, process: Process, ids: Mapping[UUID, object]) -> bool:
        """Whether a statement that takes its locks in turn would wait for another process."""
        return not all(self.books.is_free(process, key) for key in ids)

    @precondition(lambda self: self.idle)
    @rule(process=drawn_from("idle"))
    def begin(self, process: Process) -> None:
        process.begin(self.books.now)

    @precondition(lambda self: self.busy)
    @rule(process=drawn_from("busy"))
    def commit(self, process: Process) -> None:
        self.books.end(process, commit=True)

    @precondition(lambda self: self.busy)
    @rule(process=drawn_from("busy"))
    def die(self, process: Process) -> None:
        """The process, or its connection: what it has in hand is lost with its transaction."""
        if process.hand is not None:
            self.lost.append(process.hand)
        self.books.end(process, commit=False)

    @rule(seconds=st.sampled_from([1, spec.LEASE - 1, spec.LEASE, spec.REDISPATCH, spec.HOUR]))
    def wait(self, seconds: int) -> None:
        self.books.pass_time(seconds)

    @precondition(lambda self: self.waiting)
    @rule()
    def wait_for_the_next(self) -> None:
        """Until the next message is due: a lease runs out, a retry's time comes."""
        self.books.pass_time(min(self.waiting) - self.books.now)

    @property
    def waiting(self) -> list[int]:
        owed = (row for row in self.books.rows.values() if row.state != spec.DEAD)
        return [row.due for row in owed if row.due > self.books.now]

    @precondition(lambda self: self.books.done and self.idle and not self.finishing)
    @rule(days=st.sampled_from([1, spec.HISTORY_DAYS, 20]), process=drawn_from("idle"))
    def maintain(self, days: int, process: Process) -> None:
        """Some days later partitions are made and dropped: what is old leaves, and nothing else."""
        self.books.pass_time(days * DAY)
        process.run(partitions.maintain)
        midnight = self.books.now - (self.books.now + START.hour * 3600) % DAY
        self.books.forget_history_before(midnight - spec.HISTORY_DAYS * DAY)

    @property
    def finishing(self) -> bool:
        """Whether an open transaction has the history locked: partitions then wait for later."""
        return any(process.wrote_history for process in self.processes)

    @invariant()
    def the_tables_hold_what_the_model_says(self) -> None:
        self.books.check()
