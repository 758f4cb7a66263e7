"""The task's side: effect and receipt commit together, or neither does."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

import outbox
from outbox import store, taking
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.models import HistoryMessage, OutboxMessage
from tests.conftest import Declare
from tests.outbox.consumer.consuming import (
    Body,
    Failed,
    Raw,
    claim,
    committed,
    effects,
    enqueue,
    fail,
    row,
    sent,
    snapshot,
)
from tests.waiting import eventually

pytestmark = pytest.mark.django_db


# A good end


@committed
def test_a_task_is_run_once_and_moves_its_row_to_the_history(task: Task[Any], body: Body) -> None:
    message = sent(task)

    assert consume(task, message.id, again=False) == "done"

    done = HistoryMessage.objects.get(pk=message.id)
    assert not OutboxMessage.objects.exists()
    assert (done.event_type, done.task, done.queue) == ("order.placed", task.name, "celery")
    assert (done.attempts, done.sends) == (0, 1)
    assert done.received_at <= done.ready_at <= done.dispatched_at <= done.done_at
    assert (effects(), len(body.runs)) == (1, 1)


def test_a_duplicate_finds_nothing_to_do(task: Task[Any], body: Body) -> None:
    message = sent(task)
    assert consume(task, message.id, again=False) == "done"
    assert consume(task, message.id, again=False) == "already_done"
    assert consume(task, message.id, again=True) == "already_done"
    assert (effects(), HistoryMessage.objects.count()) == (1, 1)


def test_a_worker_may_be_faster_than_the_relays_mark(task: Task[Any], body: Body) -> None:
    enqueue(task)
    message = claim()
    assert consume(task, message.id, again=False) == "done"
    assert store.mark_dispatched([message]) == set()
    done = HistoryMessage.objects.get()
    assert done.dispatched_at is not None
    assert (done.attempts, done.sends) == (0, 1), "as if the mark had come first"


@committed
def test_effect_and_receipt_appear_together(task: Task[Any], body: Body, connect: Raw) -> None:
    message = sent(task)
    seen: list[tuple[int, int]] = []

    def look() -> None:
        with connect().cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM app_tag), (SELECT count(*) FROM outbox_history)"
            )
            seen.append(cursor.fetchone())

    body.then = look
    assert consume(task, message.id, again=False) == "done"
    look()
    assert seen == [(0, 0), (1, 1)]


def test_the_body_knows_its_message(task: Task[Any], body: Body) -> None:
    message = sent(task)
    assert consume(task, message.id, again=False) == "done"
    (seen,) = body.runs
    assert (seen.id, seen.event_type, seen.payload) == (message.id, "order.placed", {"order_id": 7})
    assert (seen.sends, seen.attempts) == (1, 1)
    with pytest.raises(LookupError):
        outbox.current_message()


@pytest.mark.parametrize("fails", [False, True])
def test_a_follow_up_is_stored_with_the_effect_or_not_at_all(
    task: Task[Any], leased: Task[Any], body: Body, fails: bool
) -> None:
    def enqueue_another() -> None:
        leased.enqueue(order_id=8)
        if fails:
            raise Failed

    body.then = enqueue_another
    message = sent(task)
    if fails:
        with pytest.raises(Failed):
            consume(task, message.id, again=False)
    else:
        consume(task, message.id, again=False)
    follow_ups = OutboxMessage.objects.filter(event_type="order.charge")
    assert follow_ups.count() == (0 if fails else 1)


# Not to be run


@pytest.mark.parametrize("again", [False, True])
def test_what_is_not_wanted_is_left_as_it_is(
    task: Task[Any], body: Body, declare: Declare, again: bool
) -> None:
    task.prepare(lambda messages: None)
    pending = enqueue(task)
    task.prepare_function = None
    dead = enqueue(task)
    store.fail(claim(), "no", delay=0, max_attempts=0)
    retried = sent(task)
    body.then = fail
    with pytest.raises(Failed):
        consume(task, retried.id, again=False)
    OutboxMessage.objects.filter(pk=retried.id).update(
        due_at=timezone.now() + dt.timedelta(seconds=60)
    )
    assert [row(m).state for m in (pending, dead, retried)] == ["pending", "dead", "ready"]

    for message in (pending, dead, retried):
        before = snapshot(message)
        assert consume(task, message.id, again=again) == "not_wanted"
        assert snapshot(message) == before
    assert len(body.runs) == 1, "the retried one's first try"


def test_an_unknown_message_is_one_that_is_done(task: Task[Any]) -> None:
    assert consume(task, uuid.uuid4(), again=True) == "already_done"


@pytest.mark.parametrize("again", [False, True])
@committed
def test_a_message_that_another_worker_runs_is_left_to_it(
    task: Task[Any], body: Body, connect: Raw, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    monkeypatch.setattr(taking, "LOCK_TIMEOUT", "50ms")
    message = sent(task)
    before = snapshot(message)
    with connect().cursor() as other:
        other.execute("BEGIN")
        other.execute("SELECT FROM outbox_message FOR UPDATE")
        assert consume(task, message.id, again=again) == "busy"
        other.execute("ROLLBACK")
    assert snapshot(message) == before
    assert consume(task, message.id, again=again) == "done"


@committed
def test_a_short_lock_is_waited_for(task: Task[Any], connect: Raw) -> None:
    """The relay's mark locks the row at just the moment when the worker starts."""
    assert _consume_behind_a_lock(task, connect) == "done"


@committed
def test_the_bodys_own_statements_wait_as_long_as_the_session_lets_them(
    task: Task[Any], body: Body, connect: Raw
) -> None:
    limits = []

    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW lock_timeout")
            limits.append(cursor.fetchone()[0])

    body.then = look
    look()
    assert consume(task, sent(task).id, again=False) == "done"
    assert _consume_behind_a_lock(task, connect) == "done"
    assert limits == [limits[0]] * 3
    assert limits[0] != taking.LOCK_TIMEOUT


def _consume_behind_a_lock(task: Task[Any], connect: Raw) -> str:
    """Have a message worked whose row is locked at first."""
    message = sent(task)
    outcomes: list[str] = []

    def work() -> None:
        try:
            outcomes.append(consume(task, message.id, again=False))
        finally:
            connections.close_all()

    with connect().cursor() as other:
        other.execute("BEGIN")
        other.execute("SELECT FROM outbox_message FOR NO KEY UPDATE")
        worker = threading.Thread(target=work)
        worker.start()
        eventually(_someone_waits_for_a_lock)
        other.execute("COMMIT")
    worker.join(10)
    (outcome,) = outcomes
    return outcome


def _someone_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(cursor.fetchone()[0])
