"""A message that may have been handed out before is counted before its body runs."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from outbox import registry, store
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.models import HistoryMessage
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


@pytest.mark.parametrize("event_type", ["mortal.body", "mortal.leased"])
@committed
def test_a_message_that_kills_its_process_each_time_ends_dead(
    declare: Declare, event_type: str
) -> None:
    mortal.declare_all(declare)
    task = registry.get(event_type)
    message = sent(task)
    counted = []
    # The first delivery of a task in a transaction is not counted: it saves a commit.
    for sends in range(1, 3 if not task.atomic else 4):
        arguments = (event_type, str(message.id), str(sends))
        assert mortal.run(database_url("default"), "consume", *arguments) == mortal.DIED
        counted.append(row(message).attempts)
        assert row(message).state == State.DISPATCHED
        wait_over(message)
    assert counted == ([0, 1, 2] if task.atomic else [1, 2])

    assert mortal.run(database_url("default"), "consume", event_type, str(message.id), "9") == 0

    assert row(message).state == State.DEAD
    assert row(message).last_error == store.NO_WORD


def test_a_copy_is_refused_while_a_killed_workers_lease_lasts(leased: Task[Any]) -> None:
    message = sent(leased)
    assert store.begin_try(message, token=uuid.uuid4(), seconds=60) == 1
    assert consume(leased, message.id, again=True) == "busy"
    wait_over(message)
    assert consume(leased, message.id, again=True) == "done"
