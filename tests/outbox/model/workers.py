"""The steps of workers: with the row's lock in hand, or under a lease of their own."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from outbox import store
from outbox.message import Message
from outbox.states import State
from tests.outbox.model import specification as spec
from tests.outbox.model.own_schema import START
from tests.outbox.model.process import Process
from tests.outbox.model.specification import Done, Row, Try
from tests.outbox.model.stage import DELAYS, Claimed, Stage, drawn_from

LIMITS = st.integers(0, 3)
SECOND = timedelta(seconds=1)
TOOK = st.sampled_from([0, 7])
"""Seconds that a body runs for: then it ends at another time than its transaction began."""


class Workers(Stage):
    """Takes messages, in any number of copies, and runs them well, badly, or not to an end."""

    @precondition(lambda self: self.ids and self.idle)
    @rule(process=drawn_from("idle"), key=drawn_from("sent") | drawn_from("ids"))
    def take(self, process: Process, key: UUID) -> None:
        """A copy arrives: of a message that may be waiting, running, dead or done by now."""
        self._take(process, key)

    @property
    def sent(self) -> list[UUID]:
        """What a broker may have, if there is any, and not what is done."""
        rows = self.books.rows.items()
        return [key for key, row in rows if row.state in spec.FINISHABLE] or self.ids

    @precondition(lambda self: self.begun and self.idle)
    @rule(process=drawn_from("idle"), begun=drawn_from("begun"))
    def take_what_it_began(self, process: Process, begun: Try) -> None:
        self.begun.remove(begun)
        self._take(process, begun.id, begun)

    def _take(self, process: Process, key: UUID, begun: Try | None = None) -> None:
        row, now = self.books.rows.get(key), self.books.now
        process.begin(now)
        free = self.books.is_free(process, key)
        taken = process.run(lambda: store.lock(key, patience=None))
        assert (taken is not None) is (free and row is not None), "found it done, or another's"
        if not free:
            busy = process.is_refused(lambda: store.lock(key, patience="10ms"))
            assert busy, "two workers have one row"
            self.books.end(process, commit=False)
            return
        if row is None or taken is None:
            assert process.run(lambda: store.lock(key)) is None, "found what is done"
            self.books.end(process, commit=False)
            return
        message, stale, running = taken.message, spec.is_stale(row, now), spec.is_running(row, now)
        told = (taken.state, message.attempts, message.sends, message.lease_token)
        assert told == (row.state, row.attempts, row.sends, row.lease)
        assert taken.at == START + SECOND * now
        wordless = spec.is_wordless(row)
        assert (taken.stale, taken.running, taken.wordless) == (stale, running, wordless)
        if row.state not in spec.FINISHABLE or stale or running:
            if row.state not in spec.FINISHABLE:
                self._assert_refused(process, message)
            self.books.end(process, commit=False)
            return
        process.locked.add(key)
        counted = wordless or row.lease is not None
        process.hand = begun or _in_hand(message, counted=counted)
        process.counted = wordless or begun is not None
        process.taken_at = now

    @staticmethod
    def _assert_refused(process: Process, message: Message) -> None:
        """No task runs on it: a worker that tried all the same would be told."""
        verbs = [
            lambda: store.begin_try(message, token=None, seconds=30),
            lambda: store.complete(message, counted=False, token=None, taken_at=START),
            lambda: store.fail_try(message, "no", counted=False, token=None, delay=0, limit=9),
        ]
        assert all(process.is_refused(verb) for verb in verbs), "ran what is dead or pending"

    def _row_in_hand(self, process: Process) -> tuple[Message, Row | None]:
        assert process.hand is not None
        row = self.books.seen_by(process).get(process.hand.id)
        return process.hand.message, row if row and spec.may_finish(row, None) else None

    @precondition(lambda self: self.workers)
    @rule(
        process=drawn_from("workers"),
        leased=st.booleans(),
        seconds=st.sampled_from([30, spec.REDISPATCH]),
    )
    def begin_try(self, process: Process, leased: bool, seconds: int) -> None:
        """Count the try, and commit that before the body runs."""
        message, row = self._row_in_hand(process)
        token = uuid.uuid4() if leased else None

        def begin() -> int:
            return store.begin_try(message, token=token, seconds=seconds)

        if row is None:
            assert process.is_refused(begin), "began what is not to be run"
            self.books.end(process, commit=False)
            return
        begun = spec.begin_try(row, token, self.books.now, seconds)
        assert process.run(begin) == begun.attempts
        self.books.note(process, {message.id: begun})
        self.books.end(process, commit=True)
        message = replace(message, attempts=begun.attempts, sends=begun.sends, lease_token=token)
        (self.leased if leased else self.begun).append(_in_hand(message, counted=True))
        if leased:  # a token like any other, though no relay should ever come by it
            self.claims.append(Claimed(len(self.claims), message))

    @precondition(lambda self: self.ids and self.idle)
    @rule(process=drawn_from("idle"), key=drawn_from("sent"), leased=st.booleans())
    def take_and_begin(self, process: Process, key: UUID, leased: bool) -> None:
        """As a worker does with a copy that may not be the first, or without a transaction."""
        self._take(process, key)
        if process.hand is not None:
            self.begin_try(process, leased, 30)

    @precondition(lambda self: self.ids and self.idle)
    @rule(process=drawn_from("idle"), key=drawn_from("sent"))
    def take_and_complete(self, process: Process, key: UUID) -> None:
        self._take(process, key)
        if process.hand is not None:
            self.complete(process, dies=False, took=7)

    @precondition(lambda self: self.ids and self.idle)
    @rule(process=drawn_from("idle"), key=drawn_from("sent"), delay=DELAYS, limit=LIMITS)
    def take_and_fail(self, process: Process, key: UUID, delay: int, limit: int) -> None:
        self._take(process, key)
        if process.hand is not None:
            self.fail_try(process, delay, limit, dies=False, took=7)

    @precondition(lambda self: self.workers)
    @rule(process=drawn_from("workers"), dies=st.booleans(), took=TOOK)
    def complete(self, process: Process, dies: bool, took: int) -> None:
        self.books.pass_time(took)
        message, row = self._row_in_hand(process)
        counted, taken_at = process.counted, process.taken_at
        self._complete(process, message, row, None, counted, taken_at)
        self._end_try(process, dies)

    @precondition(lambda self: self.workers)
    @rule(process=drawn_from("workers"), delay=DELAYS, limit=LIMITS, dies=st.booleans(), took=TOOK)
    def fail_try(self, process: Process, delay: int, limit: int, dies: bool, took: int) -> None:
        self.books.pass_time(took)
        message, row = self._row_in_hand(process)
        self._fail(process, message, row, None, process.counted, delay, limit)
        self._end_try(process, dies)

    def _end_try(self, process: Process, dies: bool) -> None:
        if dies and process.hand is not None:
            self.lost.append(process.hand)
        self.books.end(process, commit=not dies)

    # Without the row's lock: guarded by the lease alone, and perhaps long after it.

    def _row_leased(self, process: Process, tried: Try) -> Row | None:
        row = self.books.seen_by(process).get(tried.id)
        return row if row and spec.may_finish(row, tried.lease) else None

    @precondition(lambda self: self.leased)
    @rule(process=drawn_from("processes"), tried=drawn_from("leased"))
    def complete_leased(self, process: Process, tried: Try) -> None:
        row = self._row_leased(process, tried)
        if row is None or self.books.is_free(process, tried.id):
            self._complete(process, tried.message, row, tried.lease, True, self.books.now)

    @precondition(lambda self: self.leased)
    @rule(process=drawn_from("processes"), tried=drawn_from("leased"), delay=DELAYS, limit=LIMITS)
    def fail_leased(self, process: Process, tried: Try, delay: int, limit: int) -> None:
        row = self._row_leased(process, tried)
        if row is None or self.books.is_free(process, tried.id):
            self._fail(process, tried.message, row, tried.lease, True, delay, limit)

    def _complete(
        self,
        process: Process,
        message: Message,
        row: Row | None,
        token: UUID | None,
        counted: bool,
        taken_at: int,
    ) -> None:
        at = START + SECOND * taken_at

        def complete() -> None:
            store.complete(message, counted=counted, token=token, taken_at=at)

        process.wrote_history = process.began is not None
        done = row and spec.complete(row, self.books.now, taken_at, counted=counted)
        self._write(process, message.id, complete, done)

    def _fail(
        self,
        process: Process,
        message: Message,
        row: Row | None,
        token: UUID | None,
        counted: bool,
        delay: int,
        limit: int,
    ) -> None:
        def fail() -> State:
            return store.fail_try(
                message, "it broke", counted=counted, token=token, delay=delay, limit=limit
            )

        now = self.books.now
        failed = row and spec.fail_try(row, now, delay, limit, "it broke", counted=counted)
        self._write(process, message.id, fail, failed)

    def _write(
        self,
        process: Process,
        key: UUID,
        verb: Callable[[], State | None],
        after: Row | Done | None,
    ) -> None:
        if after is None:
            assert process.is_refused(verb), "who had lost it has written what became of it"
            return
        state = process.run(verb)
        assert state == (after.state if isinstance(after, Row) else None)
        self.books.note(process, {key: after})


def _in_hand(message: Message, *, counted: bool) -> Try:
    seen = (message.id, message.attempts, message.sends, message.lease_token)
    return Try(*seen, counted=counted, message=message)
