"""The verbs of the relay and the post-processor: guards, counts and due times."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.db import connection

from outbox import store
from outbox.exceptions import LeaseLost
from outbox.message import Message
from outbox.models import OutboxMessage
from outbox.registry import AllowedTasks
from outbox.states import State
from tests.message_factory import TASK, MessageFactory, as_message

pytestmark = pytest.mark.django_db

ALLOWED = AllowedTasks((TASK,), ())


def claimed(state: State = State.READY, **values: Any) -> Message:
    """A due message of the state, claimed by whoever claims such ones."""
    row = MessageFactory(state=state, **values)
    if state is State.PENDING:
        [message] = store.claim_pending([row.event_type], limit=1)
    elif state is State.READY:
        [message] = store.claim_ready({row.queue: 1}, ALLOWED)
    else:
        [message] = store.claim_overdue([row.queue], ALLOWED, limit=1)
    assert message.id == row.pk
    return message


def row_of(message: Message) -> OutboxMessage:
    return OutboxMessage.objects.get(pk=message.id)


def seconds_until_due(message: Message) -> float:
    rows = store.run(
        "SELECT extract(epoch FROM due_at - now())::float8 FROM outbox_message WHERE id = %(id)s",
        id=message.id,
    )
    return float(rows[0][0])


def with_token(message: Message, token: uuid.UUID) -> Message:
    return Message(message.id, message.event_type, message.task, message.queue, lease_token=token)


def snapshot(message: Message) -> Mapping[str, object]:
    return OutboxMessage.objects.filter(pk=message.id).values().get()


@pytest.mark.parametrize("state", [State.PENDING, State.READY, State.DISPATCHED])
def test_a_claim_counts_and_leases(state: State) -> None:
    message = claimed(state, sends=3, attempts=2, payload={"n": 1})
    row = row_of(message)
    assert (row.state, row.lease_token, row.suspect) == (state, message.lease_token, True)
    assert (message.attempts, row.attempts) == (3, 3)
    assert message.sends == row.sends == (3 if state is State.PENDING else 4)
    assert message.payload == ({"n": 1} if state is State.PENDING else {})
    assert not message.suspect
    assert seconds_until_due(message) == pytest.approx(60)


BATCH_VERBS: list[tuple[State, Callable[[Message], object]]] = [
    (State.PENDING, lambda message: store.hold([message])),
    (State.PENDING, lambda message: store.mark_ready([message])),
    (State.READY, lambda message: store.mark_dispatched([message])),
    (State.DISPATCHED, lambda message: store.mark_dispatched([message])),
    (State.PENDING, lambda message: store.release([message])),
    (State.READY, lambda message: store.release([message])),
    (State.DISPATCHED, lambda message: store.release([message])),
]


@pytest.mark.parametrize(("state", "verb"), BATCH_VERBS)
def test_a_verb_on_many_returns_what_it_won_and_leaves_what_another_has(
    state: State, verb: Callable[[Message], object]
) -> None:
    message = claimed(state)
    before = snapshot(message)
    assert verb(with_token(message, uuid.uuid4())) == set()
    assert verb(Message(message.id, "thing.happened", TASK, "celery")) == set()
    assert snapshot(message) == before
    assert verb(message) == {message.id}


@pytest.mark.parametrize("state", [State.PENDING, State.READY, State.DISPATCHED])
def test_a_failure_of_who_lost_the_lease_is_refused(state: State) -> None:
    message = claimed(state)
    before = snapshot(message)
    with pytest.raises(LeaseLost, match=str(message.id)):
        store.fail(with_token(message, uuid.uuid4()), "late", delay=0, max_attempts=1)
    assert snapshot(message) == before


def test_verbs_take_messages_of_several_claims() -> None:
    messages = [claimed(State.PENDING), claimed(State.PENDING)]
    assert messages[0].lease_token != messages[1].lease_token
    assert store.mark_ready(messages) == {message.id for message in messages}


def test_verbs_on_nothing_run_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        for verb in (store.hold, store.mark_ready, store.mark_dispatched, store.release):
            assert verb([]) == set()


def test_mark_ready_starts_the_next_step_afresh() -> None:
    message = claimed(State.PENDING, attempts=4, last_error="before")
    store.mark_ready([message])
    row = row_of(message)
    assert (row.state, row.attempts, row.sends, row.last_error) == (State.READY, 0, 0, "")
    assert (row.lease_token, row.suspect) == (None, False)
    assert row.ready_at is not None
    assert seconds_until_due(message) <= 0


def test_mark_dispatched_takes_the_claim_off_the_count() -> None:
    message = claimed(attempts=2)
    store.mark_dispatched([message])
    row = row_of(message)
    assert (row.state, row.attempts, row.sends) == (State.DISPATCHED, 2, 1)
    assert (row.lease_token, row.suspect) == (None, False)
    assert row.dispatched_at is not None
    assert seconds_until_due(message) == pytest.approx(300)


@pytest.mark.parametrize(
    ("sent_ago", "due_in"), [(0, 300), (299, 300), (700, 700), (3000, 3000), (90_000, 3600)]
)
def test_the_time_until_the_next_sending_doubles_up_to_an_hour(
    sent_ago: float, due_in: float
) -> None:
    message = claimed(State.DISPATCHED, sent_ago=sent_ago)
    first_sent = row_of(message).dispatched_at
    store.mark_dispatched([message])
    assert row_of(message).dispatched_at == first_sent
    assert seconds_until_due(message) == pytest.approx(due_in)


def test_the_time_until_the_next_sending_is_never_more_than_an_hour(settings: Any) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "REDISPATCH_SECONDS": 9000}
    message = claimed()
    store.mark_dispatched([message])
    assert seconds_until_due(message) == pytest.approx(3600)


@pytest.mark.parametrize("state", [State.PENDING, State.READY, State.DISPATCHED])
def test_release_refunds_the_claim(state: State) -> None:
    message = claimed(state, attempts=2)
    store.release([message], delay=5)
    row = row_of(message)
    assert (row.state, row.attempts, row.lease_token, row.suspect) == (state, 2, None, False)
    assert seconds_until_due(message) == pytest.approx(5)


def test_a_released_suspect_stays_one_and_makes_none_of_the_others() -> None:
    fresh = claimed()
    MessageFactory(suspect=True, attempts=1)
    [suspect] = store.claim_unsent_suspect(["celery"], ALLOWED)
    assert suspect.suspect
    assert store.release([fresh, suspect]) == {fresh.id, suspect.id}
    assert not row_of(fresh).suspect
    assert row_of(suspect).suspect


@pytest.mark.parametrize(
    ("state", "after"),
    [
        (State.PENDING, State.PENDING),
        (State.READY, State.READY),
        (State.DISPATCHED, State.READY),
    ],
)
def test_a_failed_claim_waits_and_is_a_suspect(state: State, after: State) -> None:
    message = claimed(state)
    assert store.fail(message, "it broke", delay=7, max_attempts=2) is after
    row = row_of(message)
    assert (row.state, row.attempts, row.last_error) == (after, 1, "it broke")
    assert (row.lease_token, row.suspect) == (None, True)
    assert seconds_until_due(message) == pytest.approx(7)


@pytest.mark.parametrize("state", [State.PENDING, State.READY, State.DISPATCHED])
@pytest.mark.parametrize(("before", "limit"), [(1, 2), (0, 0), (5, 2)])
def test_a_message_is_dead_when_its_tries_are_used_up(
    state: State, before: int, limit: int
) -> None:
    message = claimed(state, attempts=before)
    assert store.fail(message, "it broke", delay=0, max_attempts=limit) is State.DEAD
    row = row_of(message)
    assert (row.state, row.attempts, row.suspect) == (State.DEAD, before + 1, False)


@pytest.mark.parametrize(
    ("error", "stored"),
    [
        ("a\x00b", "a\\x00b"),
        ("", "failed without a message"),
        ("no text: \udcff", "no text: \\udcff"),
        ("x" * 5000 + "the end", "x" * 3993 + "the end"),
    ],
)
def test_every_error_can_be_stored(error: str, stored: str) -> None:
    message = claimed()
    store.fail(message, error, delay=0, max_attempts=9)
    assert row_of(message).last_error == stored


@pytest.mark.parametrize(("unprepared", "state"), [(True, State.PENDING), (False, State.READY)])
def test_requeue_starts_again_at_the_step_that_died(unprepared: bool, state: State) -> None:
    row = MessageFactory(state=State.DEAD, unprepared=unprepared, attempts=10, sends=7, due_in=500)
    assert store.requeue([row.pk]) == {row.pk}
    row.refresh_from_db()
    assert (row.state, row.attempts, row.sends, row.dispatched_at) == (state, 0, 0, None)
    assert row.last_error == "it broke"
    assert seconds_until_due(as_message(row)) <= 0


@pytest.mark.parametrize("state", [State.PENDING, State.READY, State.DISPATCHED])
def test_requeue_leaves_the_living_alone(state: State) -> None:
    row = MessageFactory(state=state, attempts=3)
    before = snapshot(as_message(row))
    assert store.requeue([row.pk, uuid.uuid4()]) == set()
    assert snapshot(as_message(row)) == before


@pytest.mark.parametrize("state", [State.PENDING, State.READY])
def test_an_added_message_is_due_at_once(state: State) -> None:
    message = store.add("thing.happened", TASK, "mail", '{"n": 1}', state=state)
    row = row_of(message)
    assert (row.state, row.queue, row.payload, row.attempts) == (state, "mail", {"n": 1}, 0)
    assert (row.ready_at is None) is (state is State.PENDING)
    assert (message.payload, message.lease_token) == ({"n": 1}, None)
    with connection.cursor() as cursor:
        cursor.execute("SELECT due_at <= clock_timestamp() FROM outbox_message")
        assert cursor.fetchall() == [(True,)]
