"""What the model has of the tables, for each session, and the comparison with what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from tests.outbox.model import specification as spec
from tests.outbox.model.own_schema import SET_CLOCK, START
from tests.outbox.model.process import Process
from tests.outbox.model.specification import Done, Kind, Row
from tests.sql import query


def _seconds(*columns: str) -> str:
    zero = f"'{START}'::timestamptz"
    return ", ".join(f"extract(epoch FROM {column} - {zero})::int" for column in columns)


# One statement: nothing may be in neither table between two.
_ALL = f"""
SELECT id, event_type, task, queue, state, {_seconds("due_at")}, attempts, sends, lease_token,
       suspect, {_seconds("ready_at", "dispatched_at", "started_at")}, last_error
FROM outbox_message
UNION ALL
SELECT id, event_type, task, queue, 'done', {_seconds("done_at")}, attempts, sends, NULL,
       false, {_seconds("ready_at", "dispatched_at")}, NULL, ''
FROM outbox_history
"""


class Books:
    """The rows as committed, and over them what each open transaction has changed."""

    def __init__(self, processes: Iterable[Process]) -> None:
        self.now = 0
        self.rows: dict[UUID, Row] = {}
        self.done: dict[UUID, Done] = {}
        self.processes = tuple(processes)

    def pass_time(self, seconds: int) -> None:
        self.now += seconds
        query(SET_CLOCK, self.now)

    def at(self, process: Process) -> int:
        """What now() is to a statement of the process."""
        return self.now if process.began is None else process.began

    def seen_by(self, process: Process) -> dict[UUID, Row]:
        """The live rows, as a statement of the process sees them."""
        seen = {**self.rows, **process.wrote}
        return {key: row for key, row in seen.items() if isinstance(row, Row)}

    def is_free(self, process: Process, key: UUID) -> bool:
        """Whether no other process has the row locked."""
        return not any(key in other.locked for other in self.processes if other is not process)

    def note(self, process: Process, wrote: dict[UUID, Row | Done]) -> None:
        """The process has changed rows: for all to see, or in its open transaction."""
        if process.began is None:
            self._commit(wrote)
        else:
            process.wrote |= wrote
            process.locked |= wrote.keys()

    def end(self, process: Process, *, commit: bool) -> None:
        self._commit(process.end(commit=commit))

    def _commit(self, wrote: dict[UUID, Row | Done]) -> None:
        for key, row in wrote.items():
            assert key not in self.done, "a message that is done was written again"
            if isinstance(row, Row):
                self.rows[key] = row
            else:
                del self.rows[key]
                self.done[key] = row

    def forget_history_before(self, moment: int) -> None:
        self.done = {key: done for key, done in self.done.items() if done.done_at >= moment}

    def check(self) -> None:
        """Both tables hold what the model says, and what must be true whatever it says."""
        found = [(key, _row(*values)) for key, *values in query(_ALL)]
        live = {key: self._as_late(row) for key, row in found if isinstance(row, Row)}
        history = [(key, row) for key, row in found if isinstance(row, Done)]
        done = dict(history)
        assert len(done) == len(history), "a message is in the history twice"
        assert not live.keys() & done.keys(), "a message is in both tables"
        assert live.keys() | done.keys() == self.rows.keys() | self.done.keys(), "lost, or invented"
        _same(live, {key: self._as_late(row) for key, row in self.rows.items()})
        _same(done, self.done)
        for row in live.values():
            owed = row.state != spec.DEAD
            assert not owed or row.due <= self.now + spec.LONGEST_WAIT, f"nobody takes {row}"
        assert all(min(row.attempts, row.sends) >= 0 for row in [*live.values(), *done.values()])

    def _as_late(self, row: Row) -> Row:
        """All that is due is so since now: when a step ended does not matter any more."""
        return spec.replace(row, due=max(row.due, self.now))


def _row(event_type: str, task: str, queue: str, state: str, *rest: Any) -> Row | Done:
    kind = Kind(event_type, task, queue)
    if state != "done":
        return Row(kind, state, *rest)
    done_at, attempts, sends, _lease, _suspect, ready_at, dispatched_at, *_ = rest
    return Done(kind, attempts, sends, ready_at, dispatched_at, done_at)


def _same(found: Mapping[UUID, Row | Done], wanted: Mapping[UUID, Row | Done]) -> None:
    for key in found.keys() | wanted.keys():
        is_, should = found.get(key), wanted.get(key)
        assert is_ == should, f"message {key}\nis     {is_}\nshould {should}"
