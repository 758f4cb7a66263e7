"""The worker's verbs: a try is counted once, whatever the relay writes beside it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from outbox import status, store
from outbox.exceptions import LeaseLost
from outbox.message import Message
from outbox.models import HistoryMessage, OutboxMessage
from outbox.registry import AllowedTasks
from outbox.states import State
from tests.message_factory import TASK, MessageFactory, as_message, state_of

pytestmark = pytest.mark.django_db

ALLOWED = AllowedTasks((TASK,), ())
TAKEN_AT = datetime(2026, 1, 1, tzinfo=UTC)
MARKS = ("before", "between", "never")


def sent(**values: Any) -> Message:
    """A message that the relay has claimed and handed to the broker, and has not marked yet."""
    row = MessageFactory(**values)
    [message] = store.claim_ready({row.queue: 1}, ALLOWED)
    return message


def row_of(message: Message) -> OutboxMessage:
    return OutboxMessage.objects.get(pk=message.id)


def taken(message: Message) -> Message:
    found = store.lock(message.id)
    assert found is not None
    return found.message


def run_try(message: Message, mark: str, token: uuid.UUID | None, *, begun: bool) -> Message:
    """A worker takes the message, and the relay marks it before, while it begins, or never."""
    if mark == "before":
        assert store.mark_dispatched([message])
    mine = taken(message)
    if begun:
        store.begin_try(mine, token=token, seconds=30)
    if mark == "between":
        marked = store.mark_dispatched([message])
        assert marked == (set() if begun else {message.id}), "a late mark loses to the new holder"
    return mine


CASES = [
    (mark, token, begun)
    for mark, (token, begun) in itertools.product(
        MARKS, [(None, False), (None, True), (uuid.uuid4(), True)]
    )
]


@pytest.mark.parametrize(("mark", "token", "begun"), CASES)
@pytest.mark.parametrize("earlier", [0, 3])
def test_a_failed_try_counts_once(
    mark: str, token: uuid.UUID | None, begun: bool, earlier: int
) -> None:
    message = sent(attempts=earlier)
    mine = run_try(message, mark, token, begun=begun)
    state = store.fail_try(mine, "it broke", counted=begun, token=token, delay=4, limit=9)
    row = row_of(message)
    assert state is State.READY
    assert (row.state, row.attempts, row.last_error) == (State.READY, earlier + 1, "it broke")
    assert (row.lease_token, row.suspect, row.started_at, row.dispatched_at) == (
        None,
        False,
        None,
        None,
    )
    assert store.mark_dispatched([message]) == set(), "a late mark loses to the retry"
    assert row_of(message).state == State.READY


@pytest.mark.parametrize(("mark", "token", "begun"), CASES)
@pytest.mark.parametrize("earlier", [0, 3])
def test_the_history_has_the_tries_that_failed(
    mark: str, token: uuid.UUID | None, begun: bool, earlier: int
) -> None:
    message = sent(attempts=earlier)
    mine = run_try(message, mark, token, begun=begun)
    store.complete(mine, counted=begun, token=token, taken_at=TAKEN_AT)
    done = HistoryMessage.objects.get(pk=message.id)
    assert (done.attempts, done.sends) == (earlier, 1)
    assert (done.dispatched_at == TAKEN_AT) is (mark == "never" and not begun)
    assert not OutboxMessage.objects.filter(pk=message.id).exists()
    assert store.mark_dispatched([message]) == set(), "a row that is gone is no error"


def test_the_history_has_all_that_was_known() -> None:
    row = MessageFactory(state=State.DISPATCHED, queue="mail", sends=2, sent_ago=40)
    store.complete(as_message(row), counted=False, token=None, taken_at=TAKEN_AT)
    done = HistoryMessage.objects.get(pk=row.pk)
    for name in ("event_type", "task", "queue", "sends", "received_at", "ready_at"):
        assert getattr(done, name) == getattr(row, name)
    assert done.dispatched_at == row.dispatched_at
    assert done.done_at > done.received_at
    assert (found := status.lookup(row.pk)) is not None
    assert found["state"] == "done"


def test_a_try_that_begins_pushes_the_next_sending_away() -> None:
    message = sent()
    assert store.begin_try(taken(message), token=None, seconds=300) == 1
    row = row_of(message)
    assert (row.state, row.sends, row.suspect) == (State.DISPATCHED, 1, True)
    assert (row.due_at - row.received_at).total_seconds() == pytest.approx(300, abs=5)


def test_a_try_after_one_that_died_under_its_lease_counts_anew() -> None:
    row = MessageFactory(running=True, due_in=-5)
    found = store.lock(row.pk)
    assert found is not None
    assert not found.running
    assert store.begin_try(found.message, token=uuid.uuid4(), seconds=30) == 2


@pytest.mark.parametrize(
    "write",
    [
        lambda m: store.fail_try(m, "late", counted=True, token=uuid.uuid4(), delay=0, limit=9),
        lambda m: store.complete(m, counted=True, token=uuid.uuid4(), taken_at=TAKEN_AT),
    ],
)
def test_a_worker_that_lost_its_lease_changes_nothing(write: Callable[[Message], object]) -> None:
    row = MessageFactory(running=True)
    with pytest.raises(LeaseLost):
        write(as_message(row))
    row_now = row_of(as_message(row))
    assert (row_now.state, row_now.lease_token) == (State.DISPATCHED, row.lease_token)


def test_the_relay_cannot_write_on_a_row_that_a_worker_runs() -> None:
    message = as_message(MessageFactory(running=True))
    assert store.release([message]) == set()
    assert store.mark_dispatched([message]) == set()
    with pytest.raises(LeaseLost):
        store.fail(message, "late", delay=0, max_attempts=0)


@pytest.mark.parametrize(("tries", "state"), [(8, State.READY), (9, State.DEAD)])
def test_a_task_is_dead_when_its_tries_are_used_up(tries: int, state: State) -> None:
    row = MessageFactory(state=State.DISPATCHED, attempts=tries - 1)
    message = as_message(row)
    assert store.fail_try(message, "no", counted=False, token=None, delay=0, limit=9) is state
    assert (state_of(row.pk), row_of(message).attempts) == (state, tries)


def test_a_permanent_failure_is_dead_at_the_first_try() -> None:
    message = as_message(MessageFactory(state=State.DISPATCHED))
    store.fail_try(message, "a\x00b", counted=False, token=None, delay=0, limit=0)
    assert (row_of(message).state, row_of(message).last_error) == (State.DEAD, "a\\x00b")


@pytest.mark.parametrize(
    ("values", "stale", "running"),
    [
        ({}, False, False),
        ({"due_in": 60}, True, False),
        ({"leased": True}, False, False),
        ({"state": State.DISPATCHED, "due_in": 60}, False, False),
        ({"running": True}, False, True),
        ({"running": True, "due_in": -1}, False, False),
    ],
)
def test_a_worker_learns_how_it_found_the_row(
    values: dict[str, Any], stale: bool, running: bool
) -> None:
    row = MessageFactory(payload={"n": 1}, **values)
    found = store.lock(row.pk)
    assert found is not None
    assert (found.state, found.stale, found.running) == (row.state, stale, running)
    assert (found.message.payload, found.message.attempts) == ({"n": 1}, row.attempts)


def test_a_worker_finds_no_row_that_is_done() -> None:
    assert store.lock(uuid.uuid4()) is None


def test_a_look_up_knows_no_message_that_never_was() -> None:
    assert status.lookup(uuid.uuid4()) is None


def test_a_look_up_of_a_live_message_names_all_it_knows() -> None:
    row = MessageFactory(state=State.DISPATCHED, attempts=2)
    assert status.lookup(row.pk) == {
        "message_id": row.pk,
        "event_type": "thing.happened",
        "state": "dispatched",
        "attempts": 2,
        "received_at": row.received_at,
        "ready_at": row.ready_at,
        "dispatched_at": row.dispatched_at,
        "done_at": None,
    }
