"""The steps that bring messages in, and those that claim them."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from outbox import backlog, store
from outbox.message import Message
from outbox.registry import AllowedTasks
from outbox.states import State
from outbox.watermark import Watermark
from tests.outbox.model import specification as spec
from tests.outbox.model.process import Process
from tests.outbox.model.specification import Kind, Row, Scope
from tests.outbox.model.stage import Claimed, Stage, drawn_from

KINDS = [Kind("order", "tests.order", "celery"), Kind("bill", "tests.bill", "mail")]
SCOPES = [
    Scope(
        frozenset(kind.event_type for kind in types),
        frozenset(kind.queue for kind in queues),
        frozenset(kind.task for kind in tasks),
    )
    for types, queues, tasks in [
        (KINDS, KINDS, KINDS),
        (KINDS[:1], KINDS[:1], KINDS),
        (KINDS[1:], KINDS, KINDS[1:]),
    ]
]
ALL = SCOPES[0]
LIMITS = st.sampled_from([1, 2, 100])
STATES = st.sampled_from([spec.PENDING, spec.READY])
ENOUGH = 6
"""Live messages: with few of them the same ones meet again and again."""

# What the claims are called in the store.
VERBS: dict[str, Callable[[Scope, int, Watermark | None], list[Message]]] = {
    "pending": lambda scope, limit, seen: store.claim_pending(
        sorted(scope.event_types), limit=limit, seen=seen
    ),
    "pending suspect": lambda scope, _, __: store.claim_pending_suspect(sorted(scope.event_types)),
    "ready": lambda scope, limit, seen: store.claim_ready(
        dict.fromkeys(sorted(scope.queues), limit), allowed(scope), seen
    ),
    "overdue": lambda scope, limit, seen: store.claim_overdue(
        sorted(scope.queues), allowed(scope), limit=limit, seen=seen
    ),
    "unsent suspect": lambda scope, _, seen: store.claim_unsent_suspect(
        sorted(scope.queues), allowed(scope), seen
    ),
}


def allowed(scope: Scope) -> AllowedTasks:
    return AllowedTasks(tuple(sorted(scope.tasks)), ())


class Claiming(Stage):
    """Adds messages, and takes those that are due."""

    @initialize(pending=st.integers(0, 2), ready=st.integers(0, 2))
    def begin_with(self, pending: int, ready: int) -> None:
        for kind in KINDS:
            if pending:
                self.add(self.processes[0], kind, spec.PENDING, pending)
            if ready:
                self.add(self.processes[0], kind, spec.READY, ready)

    @precondition(lambda self: len(self.books.rows) < ENOUGH)
    @rule(
        process=drawn_from("processes"),
        kind=st.sampled_from(KINDS),
        state=STATES,
        number=st.integers(1, 3),
    )
    def add(self, process: Process, kind: Kind, state: str, number: int) -> None:
        payloads = [f'{{"n": {n}}}' for n in range(number)]
        place = (kind.event_type, kind.task, kind.queue)
        added = process.run(lambda: store.add_many(*place, payloads, state=State(state)))
        ready_at = self.books.now if state == spec.READY else None
        row = Row(kind, state, self.books.now, ready_at=ready_at)
        self.books.note(process, {message.id: row for message in added})

    @rule(
        process=drawn_from("processes"),
        kind=drawn_from("fruitful"),
        scope=st.sampled_from(SCOPES),
        limit=LIMITS,
    )
    def claim_what_is_due(self, process: Process, kind: str, scope: Scope, limit: int) -> None:
        self.claimed_by(process, kind, scope, limit)

    @property
    def fruitful(self) -> list[str]:
        """The claims that would find something, if its row is free."""
        rows, now = self.books.rows.values(), self.books.now
        due = [k for k in VERBS if any(spec.claimable(row, k, ALL, now) for row in rows)]
        return due or list(VERBS)

    @rule(
        process=drawn_from("processes"),
        kind=st.sampled_from(sorted(VERBS)),
        scope=st.sampled_from(SCOPES),
        limit=LIMITS,
    )
    def claim_from_its_mark(self, process: Process, kind: str, scope: Scope, limit: int) -> None:
        self.claimed_by(process, kind, scope, limit, process.seen.setdefault(kind, Watermark()))

    @rule(process=drawn_from("processes"))
    def look(self, process: Process) -> None:
        """What tells a process whether a claim is worth its while: none is passed over."""
        rows, at = self.books.seen_by(process).values(), self.books.at(process)
        due = {kind: any(spec.claimable(row, kind, ALL, at) for row in rows) for kind in VERBS}
        told = process.run(lambda: (*backlog.any_due_pending(), *backlog.any_due_to_send()))
        assert dict(zip(VERBS, told, strict=True)) == due

    def claimed_by(
        self,
        process: Process,
        kind: str,
        scope: Scope,
        limit: int,
        seen: Watermark | None = None,
    ) -> list[Claimed]:
        """Claim, from the start or from where the process last was; see that it is right."""
        at = self.books.at(process)
        due = {
            key: row
            for key, row in self.books.seen_by(process).items()
            if spec.claimable(row, kind, scope, at) and self.books.is_free(process, key)
        }
        claimed = process.run(lambda: VERBS[kind](scope, limit, seen))
        taken = {message.id for message in claimed}
        assert taken <= due.keys(), "took what is not due, is held, or is not its own"
        if seen is not None:  # what is older than the mark may be left to a claim from the start
            due = {key: row for key, row in due.items() if key in taken}
        self._assert_the_oldest(kind, limit, due, taken)
        tokens = {message.lease_token for message in claimed}
        assert len(tokens) == (1 if claimed else 0)
        assert not tokens & {each.message.lease_token for each in self.claims}, "an old token"
        wrote = {m.id: spec.claim(due[m.id], m.lease_token, at) for m in claimed if m.lease_token}
        self.books.note(process, dict(wrote))
        for message in claimed:
            row, suspect = wrote[message.id], spec.CLAIMS[kind][1]
            told = (message.attempts, message.sends, message.suspect)
            assert told == (row.attempts, row.sends, suspect)
        number = len(self.claims)
        fresh = [Claimed(number + n, message) for n, message in enumerate(claimed)]
        self.claims += fresh
        return fresh

    @staticmethod
    def _assert_the_oldest(kind: str, limit: int, due: dict[UUID, Row], taken: set[UUID]) -> None:
        """As many as there may be, and none waits for longer than one that was taken."""
        alone, by_queue = spec.CLAIMS[kind][1], kind in ("ready", "overdue")
        for queue in {row.kind.queue for row in due.values()} if by_queue else {None}:
            own = {key: row.due for key, row in due.items() if queue in (None, row.kind.queue)}
            came = [time for key, time in own.items() if key in taken]
            left = [time for key, time in own.items() if key not in taken]
            many = 1 if alone else limit
            assert len(came) == min(len(own), many), "more than it asked for, or fewer"
            assert not came or not left or max(came) <= min(left), "an older one was left"
