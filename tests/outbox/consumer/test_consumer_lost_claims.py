"""A server that crashed has forgotten a claim or a mark whose message was sent: one copy is run."""

from __future__ import annotations

from typing import Any

import pytest

import outbox
from outbox import registry, store
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.models import OutboxMessage
from tests.outbox.consumer.consuming import Body, claim, committed, effects, enqueue
from tests.sql import query

pytestmark = committed


def forgotten(task: Task[Any], *, marked: bool) -> outbox.Message:
    """Sent, after which the row is as it was before the claim."""
    enqueue(task)
    columns = "state, lease_token, suspect, attempts, sends, due_at, dispatched_at"
    [before] = query(f"SELECT {columns} FROM outbox_message")
    message = claim()
    if marked:
        store.mark_dispatched([message])
    query(f"UPDATE outbox_message SET ({columns}) = (%s, %s, %s, %s, %s, %s, %s)", *before)
    return message


@pytest.mark.parametrize("marked", [False, True], ids=["claimed", "marked"])
def test_the_copy_that_was_sent_is_run_and_nothing_is_left_to_send(
    task: Task[Any], body: Body, marked: bool
) -> None:
    message = forgotten(task, marked=marked)
    assert consume(task, message.id, again=False) == "done"
    assert store.claim_ready({"celery": 1}, registry.allowed_tasks()) == []
    assert consume(task, message.id, again=False) != "done"
    assert effects() == len(body.runs) == 1


@pytest.mark.parametrize("marked", [False, True], ids=["claimed", "marked"])
def test_of_two_that_were_sent_one_is_run(task: Task[Any], body: Body, marked: bool) -> None:
    message = forgotten(task, marked=marked)
    again = claim()
    assert again.id == message.id
    words = [consume(task, message.id, again=False) for _ in range(2)]
    assert words.count("done") == 1
    assert effects() == len(body.runs) == 1


def test_the_relay_that_had_the_forgotten_claim_marks_nothing(task: Task[Any], body: Body) -> None:
    message = forgotten(task, marked=False)
    assert store.mark_dispatched([message]) == set()
    assert store.release([message]) == set()
    [row] = OutboxMessage.objects.all()
    assert (row.state, row.lease_token, row.attempts) == ("ready", None, 0)
