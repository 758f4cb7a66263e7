"""A message that may have been handed out before is counted before its body runs."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

import outbox
from outbox import store
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.last_error import NO_WORD
from outbox.models import HistoryMessage
from outbox.registry import AllowedTasks
from outbox.states import State
from tests.conftest import Declare
from tests.outbox import mortal
from tests.outbox.consumer.consuming import (
    Body,
    Failed,
    Raw,
    claim,
    committed,
    enqueue,
    fail,
    row,
    sent,
    wait_over,
)
from tests.service import database_url

pytestmark = pytest.mark.django_db


@committed
def test_a_first_delivery_is_not_counted_before_the_body(
    task: Task[Any], body: Body, connect: Raw
) -> None:
    assert _attempts_while_it_runs(task, body, connect, again=False) == 0


@committed
def test_a_later_delivery_is_counted_and_committed_before_the_body(
    task: Task[Any], body: Body, connect: Raw
) -> None:
    assert _attempts_while_it_runs(task, body, connect, again=True) == 1
    assert HistoryMessage.objects.get().attempts == 0, "the try that ended well is no failed one"


def _attempts_while_it_runs(task: Task[Any], body: Body, connect: Raw, *, again: bool) -> int:
    message = sent(task)
    seen = []

    def look() -> None:
        with connect().cursor() as cursor:
            cursor.execute("SELECT attempts FROM outbox_message WHERE id = %s", [str(message.id)])
            seen.append(cursor.fetchone()[0])

    body.then = look
    assert consume(task, message.id, again=again) == "done"
    assert body.runs[0].attempts == 1
    return int(seen[0])


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "not yet marked"])
def test_a_later_delivery_that_fails_is_counted_once(
    task: Task[Any], body: Body, marked: bool
) -> None:
    body.then = fail
    enqueue(task)
    message = claim()
    if marked:
        store.mark_dispatched([message])
    with pytest.raises(Failed):
        consume(task, message.id, again=True)
    assert (row(message).attempts, row(message).state) == (1, State.READY)


@committed
def test_a_message_that_kills_its_process_is_put_off_each_time_and_ends_dead(
    declare: Declare,
) -> None:
    task, _, _ = mortal.declare_all(declare)
    message = sent(task)
    # A first delivery is not counted: it saves a commit.
    assert deliver(message, again=False) == mortal.DIED
    assert (row(message).state, row(message).attempts) == (State.DISPATCHED, 0)
    for attempts in range(1, mortal.MAX_ATTEMPTS + 1):
        assert deliver(message) == mortal.DIED
        assert (row(message).state, row(message).attempts) == (State.DISPATCHED, attempts)

        assert deliver(message) == 0, "it was not run"
        assert (row(message).state, row(message).attempts) == (State.READY, attempts)
        assert row(message).last_error == NO_WORD
        assert (row(message).lease_token, row(message).suspect) == (None, False)
    assert deliver(message) == 0, "its tries are used up"
    assert (row(message).state, row(message).attempts) == (State.DEAD, mortal.MAX_ATTEMPTS + 1)


@committed
def test_a_message_with_a_lease_that_kills_its_process_each_time_ends_dead(
    declare: Declare,
) -> None:
    _, task, _ = mortal.declare_all(declare)
    message = sent(task)
    for attempts in range(1, mortal.MAX_ATTEMPTS + 1):
        assert deliver(message) == mortal.DIED
        assert (row(message).state, row(message).attempts) == (State.DISPATCHED, attempts)

    assert deliver(message) == 0, "it was not run"
    assert (row(message).state, row(message).last_error) == (State.DEAD, NO_WORD)


def deliver(message: outbox.Message, *, again: bool = True) -> int:
    """Hand it to a process of its own, once its lease or its wait is over: the exit code."""
    wait_over(message)
    arguments = (message.event_type, str(message.id), "2" if again else "1")
    return mortal.run(database_url("default"), "consume", *arguments)


@committed
def test_what_was_sent_again_after_a_try_without_a_word_is_run(task: Task[Any], body: Body) -> None:
    message = sent(task)
    assert store.begin_try(message, token=None, seconds=60) == 1
    wait_over(message)
    [claimed] = store.claim_unsent_suspect([task.queue], AllowedTasks((task.name,), ()))
    store.mark_dispatched([claimed])

    assert consume(task, message.id, again=True) == "done"
    assert HistoryMessage.objects.get().attempts == 1


def test_a_copy_is_refused_while_a_killed_workers_lease_lasts(leased: Task[Any]) -> None:
    message = sent(leased)
    assert store.begin_try(message, token=uuid.uuid4(), seconds=60) == 1
    assert consume(leased, message.id, again=True) == "busy"
    wait_over(message)
    assert consume(leased, message.id, again=True) == "done"
