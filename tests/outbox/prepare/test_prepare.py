"""Step 2: what prepare functions do appears together with "ready", or not at all."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

import outbox
from app.models import Tag
from outbox import backlog, prepare, registry, store
from outbox.backlog import unfinished_pending
from outbox.declaration import Task
from outbox.models import OutboxMessage
from outbox.prepare import Preparer
from outbox.states import State
from tests.conftest import Declare
from tests.outbox.prepare.preparing import Filling, Raw, committed, enqueue, filled, make_due, rows

pytestmark = pytest.mark.django_db


def test_a_batch_is_prepared_and_marked_ready(task: Task[Any], filling: Filling) -> None:
    enqueue(task, 1, 2, 3)
    Preparer(batch_size=10).step()
    assert filling.batches == [[1, 2, 3]]
    assert filled() == {1, 2, 3}
    ready = rows("ready")
    assert {*ready} == {1, 2, 3}
    for row in ready.values():
        assert (row.attempts, row.sends, row.lease_token, row.suspect) == (0, 0, None, False)
        assert row.ready_at is not None
    assert unfinished_pending() == 0


def test_a_full_batch_says_that_there_is_more(task: Task[Any], filling: Filling) -> None:
    step = Preparer(batch_size=2).step
    assert not step(), "nothing is due"
    enqueue(task, 1, 2, 3)
    assert [step(), step(), step()] == [True, False, False]
    assert filling.batches == [[1, 2], [3]]


def test_a_batch_is_no_larger_than_its_size(task: Task[Any], filling: Filling) -> None:
    enqueue(task, *range(5))
    preparer = Preparer(batch_size=2)
    while preparer.step():
        pass
    assert sorted(map(len, filling.batches)) == [1, 2, 2]
    assert filled() == {*range(5)}


def test_a_message_of_an_unknown_event_type_is_left(
    task: Task[Any], other: Task[Any], filling: Filling
) -> None:
    """A process of the version before does not know it; a newer one takes it."""
    other.prepare(lambda messages: None)
    enqueue(other, 1)
    registry.unregister(other)
    enqueue(task, 2)
    preparer = Preparer(batch_size=10)
    while preparer.step():
        pass
    left = rows("pending")[1]
    assert (left.attempts, left.suspect) == (0, False)
    assert {*rows("ready")} == {2}


@committed
def test_effect_and_ready_appear_together(task: Task[Any], filling: Filling, connect: Raw) -> None:
    enqueue(task, 1)
    seen = []

    def look(_messages: object = None) -> None:
        with connect().cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM app_tag),"
                " (SELECT count(*) FROM outbox_message WHERE state = 'ready')"
            )
            seen.append(cursor.fetchone())

    filling.then = look
    Preparer(batch_size=10).step()
    look()
    assert seen == [(0, 0), (1, 1)]


@committed
def test_a_batch_wakes_the_relay_at_its_commit(
    task: Task[Any], listen: Callable[[str], Any], heard: Callable[[Any, float], bool]
) -> None:
    relay = listen("outbox_ready")
    enqueue(task, 1, 2)
    Preparer(batch_size=10).step()
    assert heard(relay, 5)


def test_what_is_given_back_waits_a_second_unspent(task: Task[Any], filling: Filling) -> None:
    enqueue(task, 1, 2, 3)
    filling.then = lambda messages: [messages[1]]
    preparer = Preparer(batch_size=10)
    preparer.step()
    assert {*rows("ready")} == {1, 3}
    waiting = rows("pending")[2]
    assert (waiting.attempts, waiting.lease_token, waiting.suspect) == (0, None, False)
    assert 0 < (waiting.due_at - rows("ready")[1].due_at).total_seconds() <= prepare.WAIT_SECONDS
    assert not preparer.step(), "not due yet"


def test_a_prepare_function_may_yield_what_it_gives_back(task: Task[Any], filling: Filling) -> None:
    enqueue(task, 1, 2)

    def some(messages: list[outbox.Message]) -> Iterable[outbox.Message]:
        yield messages[0]

    filling.then = some
    Preparer(batch_size=10).step()
    assert ({*rows("pending")}, {*rows("ready")}) == ({1}, {2})


def test_each_prepare_function_gets_its_own_messages(
    task: Task[Any], other: Task[Any], filling: Filling
) -> None:
    seen: list[list[str]] = []
    other.prepare(lambda messages: seen.append([m.event_type for m in messages]))
    enqueue(task, 1)
    enqueue(other, 2, 3)
    Preparer(batch_size=10).step()
    assert (filling.batches, seen) == ([[1]], [["order.paid", "order.paid"]])
    assert {*rows("ready")} == {1, 2, 3}


# Lost leases


def test_a_message_that_somebody_else_has_claimed_leaves_the_batch(
    task: Task[Any], other: Task[Any], filling: Filling
) -> None:
    def let_leases_run_out(_messages: object) -> None:
        OutboxMessage.objects.filter(payload__order_id__in=[2, 4]).update(
            due_at=timezone.now() - dt.timedelta(minutes=1)
        )
        for _ in range(2):
            assert store.claim_pending_suspect(["order.placed"])

    other.prepare(let_leases_run_out)
    enqueue(other, 1)
    enqueue(task, 2, 3, 4)
    Preparer(batch_size=10).step()
    assert filling.batches == [[3]]
    assert {*rows("ready")} == {1, 3}
    assert {row.attempts for row in rows("pending").values()} == {2}
    assert filled() == {3}


def test_a_failure_after_a_lost_lease_touches_nothing(task: Task[Any], filling: Filling) -> None:
    preparer = Preparer(batch_size=10)
    enqueue(task, 1)
    OutboxMessage.objects.update(suspect=True, attempts=task.max_attempts)
    real = store.fail

    def fail_late(message: outbox.Message, *arguments: Any, **keywords: Any) -> State:
        make_due()
        assert store.claim_pending_suspect(["order.placed"])
        return real(message, *arguments, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "fail", fail_late)
        preparer.step()
    assert rows("pending")[1].lease_token is not None, "the new claim stands"


@committed
def test_two_post_processors_prepare_each_message_once(declare: Declare) -> None:
    done: list[int] = []

    @declare("order.placed")
    def confirm(order_id: int) -> None: ...

    @confirm.prepare
    def fill(messages: list[outbox.Message]) -> None:
        numbers = sorted(message.payload["order_id"] for message in messages)
        Tag.objects.bulk_create(Tag(name=f"filled {number}") for number in numbers)
        done.extend(numbers)

    enqueue(confirm, *range(60))
    start = threading.Barrier(2)

    def work() -> None:
        try:
            preparer = Preparer(batch_size=7)
            start.wait(10)
            while preparer.step():
                pass
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(done) == [*range(60)]
    assert {*rows("ready")} == filled() == {*range(60)}


def test_where_fresh_messages_are_expected_they_are_not_looked_for(
    task: Task[Any], filling: Filling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "LOOK_SECONDS", 600.0)
    preparer = Preparer(batch_size=10)
    preparer.advance()
    with monkeypatch.context() as patched:
        patched.setattr(backlog, "any_due_pending", lambda: pytest.fail("a look"))
        for number in (1, 2):
            enqueue(task, number)
            assert not preparer.advance()
    assert filling.batches == [[1], [2]]
    enqueue(task, 3, 4)
    OutboxMessage.objects.filter(state="pending").update(suspect=True)
    monkeypatch.setattr(prepare, "LOOK_SECONDS", 0.0)
    preparer.advance()
    monkeypatch.setattr(prepare, "LOOK_SECONDS", 600.0)
    while preparer.advance():
        pass
    assert sorted(filling.batches[2:]) == [[3], [4]], "each alone, and one right after the other"
