"""The steps that end claims, in their time or long after it, and those of operators."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from outbox import store
from outbox.states import State
from tests.outbox.model import specification as spec
from tests.outbox.model.process import Process
from tests.outbox.model.specification import Row
from tests.outbox.model.stage import DELAYS, Claimed, Stage, drawn_from


def claims_in(*states: str) -> st.SearchStrategy[list[Claimed]]:
    """Some claims: those that hold a row of the states, if there are any, or whatever was made."""

    def choose(machine: Any) -> st.SearchStrategy[list[Claimed]]:
        holding = [each for each in machine.claims if machine.is_held(each, states)]
        ids = {each.message.id for each in holding}
        same = [each for each in machine.claims if each.message.id in ids]
        return st.one_of(
            st.lists(st.sampled_from(among), min_size=1, max_size=4)
            for among in (holding or machine.claims, same or machine.claims, machine.claims)
        )

    return st.runner().flatmap(choose)


class Settling(Stage):
    """What a claim may lead to: whoever made it may come back with it at any time."""

    def is_held(self, claim: Claimed, states: tuple[str, ...]) -> bool:
        row = self.books.rows.get(claim.message.id)
        return row is not None and spec.is_holder(row, claim.message.lease_token, *states)

    def held(self, process: Process, claims: list[Claimed], *states: str) -> dict[UUID, Row]:
        """The rows, as the process sees them, on which one of the claims is the last word."""
        seen = self.books.seen_by(process)
        named = [(each.message.id, each.message.lease_token) for each in claims]
        return {
            key: seen[key]
            for key, token in named
            if key in seen and spec.is_holder(seen[key], token, *states)
        }

    @precondition(lambda self: self.claims and self.idle)
    @rule(process=drawn_from("idle"), claims=claims_in(spec.PENDING))
    def hold(self, process: Process, claims: list[Claimed]) -> None:
        """A post-processor begins: from now on nobody can take from it what is still its own."""
        mine = self.held(process, claims, spec.PENDING)
        if self.must_wait(process, mine):
            return
        process.begin(self.books.now)
        held = process.run(lambda: store.hold([each.message for each in claims]))
        process.locked |= held
        assert held == mine.keys()

    @precondition(lambda self: self.claims)
    @rule(process=drawn_from("processes"), claims=claims_in(spec.PENDING))
    def mark_ready(self, process: Process, claims: list[Claimed]) -> None:
        mine, at = self.held(process, claims, spec.PENDING), self.books.at(process)
        if self.must_wait(process, mine):
            return
        won = process.run(lambda: store.mark_ready([each.message for each in claims]))
        assert won == mine.keys(), "who had lost it has marked it, or who has it could not"
        now = self.books.now
        self.books.note(process, {key: spec.mark_ready(row, at, now) for key, row in mine.items()})

    @precondition(lambda self: self.claims)
    @rule(process=drawn_from("processes"), claims=claims_in(*spec.FINISHABLE))
    def mark_dispatched(self, process: Process, claims: list[Claimed]) -> None:
        mine, at = self.held(process, claims, *spec.FINISHABLE), self.books.at(process)
        mine = {key: row for key, row in mine.items() if self.books.is_free(process, key)}
        won = process.run(lambda: store.mark_dispatched([each.message for each in claims]))
        assert won == mine.keys(), "who had lost it has marked it, or who has it could not"
        self.books.note(process, {key: spec.mark_dispatched(row, at) for key, row in mine.items()})

    @precondition(lambda self: self.claims)
    @rule(
        process=drawn_from("processes"),
        claims=claims_in(spec.PENDING, *spec.FINISHABLE),
        delay=DELAYS,
        unsent=st.booleans(),
        doubtful=st.booleans(),
    )
    def release(
        self, process: Process, claims: list[Claimed], delay: int, unsent: bool, doubtful: bool
    ) -> None:
        """Give claims back: unsent ones only a relay can have, doubtful ones are taken alone."""
        at = self.books.at(process)
        pending = self.held(process, claims, spec.PENDING)
        mine = pending if not unsent else {}
        others = self.held(process, claims, *spec.FINISHABLE)
        mine = mine | {key: row for key, row in others.items() if self.books.is_free(process, key)}
        if self.must_wait(process, pending) or (unsent and pending):
            return
        messages = [replace(c.message, suspect=c.message.suspect or doubtful) for c in claims]
        won = process.run(lambda: store.release(messages, delay=delay, unsent=unsent))
        assert won == mine.keys(), "who had lost it has given it back, or who has it could not"
        suspect = {(m.id, m.lease_token): m.suspect for m in messages}
        wrote = {
            key: spec.release(row, at, delay, suspect=suspect[key, row.lease], unsent=unsent)
            for key, row in mine.items()
        }
        self.books.note(process, dict(wrote))

    @precondition(lambda self: self.claims)
    @rule(
        process=drawn_from("processes"),
        claims=claims_in(spec.PENDING, *spec.FINISHABLE),
        delay=DELAYS,
        limit=st.integers(0, 3),
    )
    def fail(self, process: Process, claims: list[Claimed], delay: int, limit: int) -> None:
        message, at = claims[0].message, self.books.at(process)
        [row] = self.held(process, claims[:1], spec.PENDING, *spec.FINISHABLE).values() or [None]

        def fail() -> State:
            return store.fail(message, "it broke", delay=delay, max_attempts=limit)

        if row is None or not self.books.is_free(process, message.id):
            assert process.is_refused(fail), "who had lost it has failed it"
            return
        failed = spec.fail(row, at, delay, limit, "it broke")
        assert process.run(fail) == failed.state
        self.books.note(process, {message.id: failed})

    @property
    def overtaken(self) -> list[Claimed]:
        """Claims on messages that are with a worker already: it was faster than the relay."""
        running = {process.hand.id for process in self.workers if process.hand is not None}
        claims = [claim for claim in self.claims if claim.message.id in running]
        return [claim for claim in claims if self.is_held(claim, (*spec.FINISHABLE,))] or claims

    @precondition(lambda self: self.overtaken)
    @rule(
        process=drawn_from("processes"),
        claim=drawn_from("overtaken"),
        verb=st.sampled_from(["mark_dispatched", "release", "fail"]),
    )
    def settle_while_a_worker_runs(self, process: Process, claim: Claimed, verb: str) -> None:
        if verb == "mark_dispatched":
            self.mark_dispatched(process, [claim])
        elif verb == "release":
            self.release(process, [claim], 0, unsent=False, doubtful=False)
        else:
            self.fail(process, [claim], 0, limit=1)

    @precondition(lambda self: self.dead)
    @rule(
        process=drawn_from("processes"),
        ids=st.lists(drawn_from("dead") | drawn_from("ids"), min_size=1, max_size=3),
    )
    def requeue(self, process: Process, ids: list[UUID]) -> None:
        seen, at = self.books.seen_by(process), self.books.at(process)
        dead = {key: seen[key] for key in ids if key in seen and seen[key].state == spec.DEAD}
        if self.must_wait(process, dead):
            return
        assert process.run(lambda: store.requeue([*ids, uuid.uuid4()])) == dead.keys()
        self.books.note(process, {key: spec.requeue(row, at) for key, row in dead.items()})

    @property
    def dead(self) -> list[UUID]:
        return [key for key, row in self.books.rows.items() if row.state == spec.DEAD]
