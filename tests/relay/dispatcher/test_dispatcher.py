"""Step 3: only what the broker has confirmed is marked, and nothing else costs an attempt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import outbox
from outbox import consumer, registry, store
from outbox.declaration import Task
from outbox.last_error import NO_WORD
from outbox.models import HistoryMessage, OutboxMessage
from outbox.states import State
from relay.outcome import Outcome
from tests.conftest import Declare
from tests.message_factory import TASK, MessageFactory
from tests.relay.dispatcher.dispatching import Broker, confirm, make_due, refuse, relay, row

pytestmark = pytest.mark.django_db


def test_a_confirmed_message_is_dispatched(broker: Broker) -> None:
    before = MessageFactory()
    relay(broker).step()
    left = row(before.pk)
    assert (left.state, left.attempts, left.sends) == (State.DISPATCHED, 0, 1)
    assert (left.lease_token, left.suspect) == (None, False)
    assert left.dispatched_at is not None
    (message,) = broker.batches[0]
    assert (message.id, message.task, message.queue) == (before.pk, TASK, "celery")
    assert (message.sends, message.payload) == (1, {}), "the broker sees no payload"


def test_with_nothing_due_nothing_is_sent(broker: Broker) -> None:
    MessageFactory(due_in=60)
    MessageFactory(state=State.DISPATCHED, due_in=60)
    MessageFactory(leased=True)
    for state in (State.PENDING, State.DEAD):
        MessageFactory(state=state)
    assert not relay(broker).step()
    assert broker.batches == []


def test_only_what_is_confirmed_is_marked(broker: Broker) -> None:
    confirmed, refused, unsent = (MessageFactory().pk for _ in range(3))
    broker.answer = lambda _: Outcome({confirmed}, {refused: "no queue takes it"}, "it went away")
    relay(broker).step()
    assert row(confirmed).state == State.DISPATCHED
    left = row(refused)
    assert (left.state, left.attempts, left.suspect) == (State.READY, 1, True)
    assert left.last_error == "no queue takes it"
    left = row(unsent)
    assert (left.state, left.attempts, left.suspect, left.last_error) == ("ready", 0, False, "")
    assert {row(pk).lease_token for pk in (confirmed, refused, unsent)} == {None}


def test_a_refused_message_is_tried_alone_until_it_is_dead(
    broker: Broker, always_counted: None
) -> None:
    culprit = MessageFactory().pk
    step = relay(broker).step
    broker.answer = refuse
    step()
    broker.answer = lambda messages: (
        refuse(messages) if messages[0].id == culprit else confirm(messages)
    )
    for attempts in (2, 3):
        make_due()
        MessageFactory.create_batch(2)
        assert step()
        assert [message.id for message in broker.batches[-1]] == [culprit]
        assert row(culprit).attempts == attempts
    assert (row(culprit).state, row(culprit).last_error) == (State.DEAD, "no queue takes it")
    assert OutboxMessage.objects.filter(state=State.DISPATCHED).count() == 4


def test_an_overdue_message_is_sent_again_and_waits_longer(broker: Broker, settings: Any) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "REDISPATCH_SECONDS": 60}
    message = MessageFactory(state=State.DISPATCHED, sends=1, sent_ago=200.0)
    relay(broker).step()
    left = row(message.pk)
    assert broker.batches[0][0].sends == left.sends == 2
    assert (left.state, left.attempts, left.lease_token) == (State.DISPATCHED, 0, None)
    assert left.dispatched_at == message.dispatched_at, "the first sending"
    assert (left.due_at - message.due_at).total_seconds() == pytest.approx(200, abs=1)


def test_an_overdue_message_that_is_refused_is_ready_again(broker: Broker) -> None:
    pk = MessageFactory(state=State.DISPATCHED).pk
    broker.answer = refuse
    relay(broker).step()
    assert (row(pk).state, row(pk).attempts) == (State.READY, 1)


def test_a_message_no_worker_ever_received_is_never_buried(
    broker: Broker, always_counted: None
) -> None:
    pk = MessageFactory().pk
    step = relay(broker).step
    for sends in range(1, 12):
        step()
        assert (row(pk).state, row(pk).attempts, row(pk).sends) == (State.DISPATCHED, 0, sends)
        make_due()


def test_a_suspect_whose_tries_are_used_up_is_not_sent_again(broker: Broker, task: Any) -> None:
    pk = MessageFactory(suspect=True, attempts=task.max_attempts).pk
    relay(broker).step()
    assert broker.batches == []
    assert (row(pk).state, row(pk).last_error) == (State.DEAD, NO_WORD)


def test_a_message_that_killed_its_relay_is_sent_alone(broker: Broker) -> None:
    fresh = {MessageFactory().pk for _ in range(3)}
    suspects = {MessageFactory(leased=True, due_in=-1).pk for _ in range(2)}
    step = relay(broker).step
    assert [step(), step(), step()] == [True, True, False]
    assert broker.sizes == [3, 1, 1]
    assert {message.id for message in broker.batches[0]} == fresh
    assert {*broker.sent[3:]} == suspects
    assert {row(pk).attempts for pk in suspects} == {1}, "the try that killed it stays counted"


def test_a_worker_faster_than_the_mark_is_no_error(
    broker: Broker, declare: Declare, task: Task[Any]
) -> None:
    pk = MessageFactory().pk

    def run_at_once(messages: Sequence[outbox.Message]) -> Outcome:
        assert consumer.consume(task, messages[0].id, again=False) == "done"
        return confirm(messages)

    broker.answer = run_at_once
    relay(broker).step()
    assert not OutboxMessage.objects.exists()
    assert HistoryMessage.objects.get(pk=pk).sends == 1


def test_a_refusal_after_a_lost_lease_touches_nothing(broker: Broker) -> None:
    pk = MessageFactory().pk

    def be_slow(messages: Sequence[outbox.Message]) -> Outcome:
        make_due()
        assert store.claim_unsent_suspect(["celery"], registry.allowed_tasks())
        return refuse(messages)

    broker.answer = be_slow
    relay(broker).step()
    assert (row(pk).attempts, row(pk).last_error) == (2, "")
    assert row(pk).lease_token is not None


def test_a_task_that_is_not_allowed_is_left(broker: Broker, settings: Any) -> None:
    pk = MessageFactory(task="elsewhere.task_1", event_type="elsewhere").pk
    assert not relay(broker).step()
    settings.OUTBOX = {**settings.OUTBOX, "TASKS": ["elsewhere.task_"]}
    relay(broker).step()
    assert broker.sent == [pk]


def test_the_prefix_of_an_allowed_task_is_no_pattern(broker: Broker, settings: Any) -> None:
    MessageFactory(task="elsewhereXtask", event_type="elsewhere")
    settings.OUTBOX = {**settings.OUTBOX, "TASKS": ["elsewhere_", "%", "elsewhere\\"]}
    assert not relay(broker).step()


def test_past_half_of_its_lease_the_rest_is_given_back(broker: Broker, settings: Any) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "LEASE_SECONDS": 0}
    MessageFactory.create_batch(2)
    relay_ = relay(broker)
    relay_.step()
    relay_.settle()
    assert broker.batches == []
    assert {(each.attempts, each.sends) for each in OutboxMessage.objects.all()} == {(0, 0)}
