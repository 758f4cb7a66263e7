"""What a claim takes, and what it leaves."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from outbox import backlog, store
from outbox.exceptions import LeaseLost
from outbox.message import Message
from outbox.models import OutboxMessage
from outbox.registry import AllowedTasks
from outbox.states import State
from tests.message_factory import TASK, MessageFactory, as_message

pytestmark = pytest.mark.django_db

ALLOWED = AllowedTasks((TASK,), ())
TYPES = ["thing.happened"]

BATCHES: dict[State, Callable[[int], list[Message]]] = {
    State.PENDING: lambda limit: store.claim_pending(TYPES, limit=limit),
    State.READY: lambda limit: store.claim_ready({"celery": limit}, ALLOWED),
    State.DISPATCHED: lambda limit: store.claim_overdue(["celery"], ALLOWED, limit=limit),
}
ALONE: dict[State, Callable[[], list[Message]]] = {
    State.PENDING: lambda: store.claim_pending_suspect(TYPES),
    State.READY: lambda: store.claim_unsent_suspect(["celery"], ALLOWED),
    State.DISPATCHED: lambda: store.claim_unsent_suspect(["celery"], ALLOWED),
}
each_state = pytest.mark.parametrize("state", BATCHES)


def ids(messages: list[Message]) -> set[uuid.UUID]:
    return {message.id for message in messages}


@each_state
def test_the_longest_due_are_taken_first_and_no_more_than_asked_for(state: State) -> None:
    rows = [MessageFactory(state=state, due_in=-age) for age in (1, 9, 5, 7)]
    assert ids(BATCHES[state](2)) == {rows[1].pk, rows[3].pk}
    assert ids(BATCHES[state](9)) == {rows[0].pk, rows[2].pk}
    assert BATCHES[state](9) == []


@each_state
def test_what_is_not_due_is_left(state: State) -> None:
    MessageFactory(state=state, due_in=1)
    MessageFactory(state=state, due_in=1, suspect=True)
    assert BATCHES[state](9) == []
    assert ALONE[state]() == []


@each_state
def test_each_claim_leaves_the_other_states(state: State) -> None:
    for other in set(State) - {state}:
        MessageFactory(state=other)
    assert BATCHES[state](9) == []


@each_state
def test_suspects_are_left_out_of_batches_and_taken_alone(state: State) -> None:
    fresh = MessageFactory(state=state)
    suspects = [MessageFactory(state=state, suspect=True, due_in=-age) for age in (1, 3, 2)]
    assert ids(BATCHES[state](9)) == {fresh.pk}
    taken = [ALONE[state](), ALONE[state](), ALONE[state](), ALONE[state]()]
    assert [ids(messages) for messages in taken] == [
        {suspects[1].pk},
        {suspects[2].pk},
        {suspects[0].pk},
        set(),
    ]
    assert all(message.suspect for messages in taken for message in messages)


WRITES: list[Callable[[Message], object]] = [
    lambda message: store.mark_ready([message]),
    lambda message: store.mark_dispatched([message]),
    lambda message: store.release([message]),
    lambda message: store.hold([message]),
    lambda message: store.fail(message, "late", delay=0, max_attempts=0),
]


@each_state
@pytest.mark.parametrize("write", WRITES)
def test_an_expired_lease_is_claimed_again_and_its_holder_loses(
    state: State, write: Callable[[Message], object]
) -> None:
    row = MessageFactory(state=state, leased=True, due_in=-1)
    first = as_message(row)
    assert BATCHES[state](9) == [], "its last claim ended without a word"
    [second] = ALONE[state]()
    assert second.id == first.id
    assert second.lease_token not in (None, first.lease_token)
    assert (second.attempts, second.suspect) == (2, True)
    before = OutboxMessage.objects.values().get()
    with contextlib.suppress(LeaseLost):
        assert write(first) == set()
    assert OutboxMessage.objects.values().get() == before


def test_a_worker_that_died_under_its_lease_leaves_a_suspect() -> None:
    row = MessageFactory(running=True, due_in=-1)
    [message] = store.claim_unsent_suspect([], ALLOWED)
    row.refresh_from_db()
    assert (message.id, row.started_at, message.attempts) == (row.pk, None, 2)


def test_each_queue_gets_as_many_as_it_has_room_for() -> None:
    for queue in ("a", "b", "c", "a", "b", "c", "a", "b", "c"):
        MessageFactory(queue=queue)
    taken = store.claim_ready({"a": 2, "b": 7}, ALLOWED)
    assert sorted(message.queue for message in taken) == ["a", "a", "b", "b", "b"]
    assert store.claim_ready({}, ALLOWED) == []


def test_overdue_messages_are_taken_from_each_queue() -> None:
    for queue in ("a", "b", "c", "a", "b", "c", "a"):
        MessageFactory(state=State.DISPATCHED, queue=queue)
    taken = store.claim_overdue(["a", "b"], ALLOWED, limit=2)
    assert sorted(message.queue for message in taken) == ["a", "a", "b", "b"]


def test_a_suspect_waits_for_room_unless_it_is_in_flight_already() -> None:
    MessageFactory(queue="full", suspect=True, due_in=-9)
    in_flight = MessageFactory(queue="full", suspect=True, state=State.DISPATCHED)
    assert ids(store.claim_unsent_suspect(["open"], ALLOWED)) == {in_flight.pk}
    assert store.claim_unsent_suspect(["open"], ALLOWED) == []


def test_unknown_event_types_are_left_for_a_process_that_knows_them() -> None:
    rows = [
        MessageFactory(state=State.PENDING, event_type="other.thing", suspect=suspect)
        for suspect in (False, True)
    ]
    assert store.claim_pending(TYPES, limit=9) == []
    assert store.claim_pending([], limit=9) == []
    assert store.claim_pending_suspect(TYPES) == []
    assert backlog.any_due_pending() == (True, True)
    for row in rows:
        before = row.due_at
        row.refresh_from_db()
        assert (row.attempts, row.due_at) == (0, before)


@pytest.mark.parametrize("state", [State.READY, State.DISPATCHED])
@pytest.mark.parametrize("suspect", [False, True])
@pytest.mark.parametrize(
    ("task", "names", "prefixes", "allowed"),
    [
        ("shop.tasks.confirm", (), (), False),
        ("shop.tasks.confirm", ("shop.tasks.confirm",), (), True),
        ("shop.tasks.confirm", (), ("shop.", "bank."), True),
        ("bank.tasks.confirm", (), ("shop.", "bank."), True),
        ("workshop.tasks.confirm", (), ("shop.",), False),
        ("my_app.tasks.f", (), ("my_app.",), True),
        ("my-app.tasks.f", (), ("my_app.",), False),
        ("100%.tasks", (), ("100%.",), True),
        ("100 and more.tasks", (), ("100%.",), False),
        ("a\\b.tasks", (), ("a\\b.",), True),
        ("ab.tasks", (), ("a\\b.",), False),
        ("it's.tasks", (), ("it's.",), True),
    ],
)
def test_only_allowed_tasks_are_sent(
    state: State,
    suspect: bool,
    task: str,
    names: tuple[str, ...],
    prefixes: tuple[str, ...],
    allowed: bool,
) -> None:
    MessageFactory(state=state, task=task, suspect=suspect)
    policy = AllowedTasks(names, prefixes)
    if suspect:
        taken = store.claim_unsent_suspect(["celery"], policy)
    elif state is State.READY:
        taken = store.claim_ready({"celery": 9}, policy)
    else:
        taken = store.claim_overdue(["celery"], policy, limit=9)
    assert [message.task for message in taken] == ([task] if allowed else [])


def test_in_flight_is_counted_by_queue() -> None:
    MessageFactory.create_batch(2, state=State.DISPATCHED, queue="a")
    MessageFactory(state=State.DISPATCHED, queue="b", due_in=-9)
    MessageFactory(running=True, queue="b")
    MessageFactory(queue="c")
    assert backlog.in_flight() == {"a": 2, "b": 2}


def test_the_ready_queues_are_found_whoever_waits_in_them() -> None:
    for queue in ("b", "a", "a", "zz"):
        MessageFactory(queue=queue, due_in=99)
    MessageFactory(queue="with a suspect", suspect=True)
    MessageFactory(queue="in flight", state=State.DISPATCHED)
    MessageFactory(queue="pending", state=State.PENDING)
    assert backlog.ready_queues().keys() == {"a", "b", "zz", "with a suspect"}


@pytest.mark.parametrize(
    ("values", "pending", "to_send"),
    [
        ({}, (False, False), (True, False, False)),
        ({"due_in": 9}, (False, False), (False, False, False)),
        ({"suspect": True}, (False, False), (False, False, True)),
        ({"leased": True}, (False, False), (False, False, False)),
        ({"state": State.DISPATCHED}, (False, False), (False, True, False)),
        ({"running": True, "due_in": -1}, (False, False), (False, False, True)),
        ({"state": State.PENDING}, (True, False), (False, False, False)),
        ({"state": State.PENDING, "suspect": True}, (False, True), (False, False, False)),
        ({"state": State.DEAD}, (False, False), (False, False, False)),
    ],
)
def test_what_is_due_is_known_by_kind(
    values: dict[str, Any], pending: tuple[bool, ...], to_send: tuple[bool, ...]
) -> None:
    MessageFactory(**values)
    assert backlog.any_due_pending() == pending
    assert backlog.any_due_to_send() == to_send


@pytest.mark.parametrize(
    ("values", "pending", "to_send"),
    [
        ({}, 0, 1),
        ({"due_in": 9}, 0, 0),
        ({"leased": True}, 0, 1),
        ({"state": State.DISPATCHED, "due_in": 9}, 0, 0),
        ({"state": State.DISPATCHED, "leased": True}, 0, 1),
        ({"running": True}, 0, 0),
        ({"state": State.PENDING}, 1, 0),
        ({"state": State.PENDING, "leased": True}, 1, 0),
        ({"state": State.PENDING, "due_in": 9}, 0, 0),
        ({"state": State.DEAD}, 0, 0),
    ],
)
def test_what_a_drain_has_to_wait_for_is_due_or_leased(
    values: dict[str, Any], pending: int, to_send: int
) -> None:
    MessageFactory(**values)
    assert (backlog.unfinished_pending(), backlog.unfinished_to_send()) == (pending, to_send)
