"""Step 3: only what the broker has confirmed is marked, and nothing else costs an attempt."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.utils import timezone
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

import outbox
from outbox import consumer, registry, store
from outbox.declaration import Task
from outbox.models import HistoryMessage, OutboxMessage
from outbox.states import State
from relay import dispatcher, window
from relay.dispatcher import Dispatcher
from relay.outcome import Outcome
from relay.publisher import Publisher
from tests.conftest import Declare
from tests.message_factory import TASK, MessageFactory
from tests.waiting import eventually

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)


class Broker:
    """Stands in for the publisher: it keeps what it is given and answers as the test says."""

    def __init__(self) -> None:
        self.batches: list[list[outbox.Message]] = []
        self.answer: Callable[[Sequence[outbox.Message]], Outcome] = confirm
        self.transactions: list[tuple[bool, int]] = []

    def publish(self, messages: Sequence[outbox.Message]) -> Outcome:
        self.batches.append([*messages])
        raw: Any = connection.connection
        self.transactions.append((connection.in_atomic_block, raw.info.transaction_status))
        return self.answer(messages)

    @property
    def sizes(self) -> list[int]:
        return [len(batch) for batch in self.batches]

    @property
    def sent(self) -> list[uuid.UUID]:
        return [message.id for batch in self.batches for message in batch]


def confirm(messages: Sequence[outbox.Message]) -> Outcome:
    return Outcome(confirmed={message.id for message in messages})


def refuse(messages: Sequence[outbox.Message]) -> Outcome:
    return Outcome(refused={message.id: "no queue takes it" for message in messages})


def away(_messages: Sequence[outbox.Message]) -> Outcome:
    return Outcome(outage="connection refused")


@pytest.fixture
def broker() -> Broker:
    return Broker()


def relay(broker: Broker, batch_size: int = 10) -> Dispatcher:
    return Dispatcher(cast("Publisher", broker), batch_size=batch_size)


@pytest.fixture
def task(declare: Declare) -> Task[Any]:
    """Makes the rows of the factory those of a registered task."""

    @declare("thing.happened", name=TASK, max_attempts=3)
    def happened() -> None: ...

    return happened


@pytest.fixture(autouse=True)
def _registered(task: Task[Any]) -> None:
    """The registry knows the task of the factory's rows."""


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "FIRST_PAUSE_SECONDS", 0.02)


@pytest.fixture
def always_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window counts before each step, as if a second had passed."""
    monkeypatch.setattr(window, "MEASURE_SECONDS", 0.0)


def row(message_id: uuid.UUID) -> OutboxMessage:
    return OutboxMessage.objects.get(pk=message_id)


def make_due() -> None:
    long_ago = timezone.now() - dt.timedelta(minutes=10)
    OutboxMessage.objects.update(due_at=long_ago)


def end_own_session() -> None:
    with pytest.raises(DatabaseError), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@contextlib.contextmanager
def lost_connection() -> Iterator[None]:
    """The block ends because its connection is lost; the poller closes it then."""
    try:
        with pytest.raises((OperationalError, InterfaceError)):
            yield
    finally:
        connection.close()


# What becomes of a message


def test_a_confirmed_message_is_dispatched(broker: Broker) -> None:
    before = MessageFactory()
    assert relay(broker).step()
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
    assert relay(broker).step()
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
        assert step()
        assert (row(pk).state, row(pk).attempts, row(pk).sends) == (State.DISPATCHED, 0, sends)
        make_due()


def test_a_suspect_whose_tries_are_used_up_is_not_sent_again(broker: Broker, task: Any) -> None:
    pk = MessageFactory(suspect=True, attempts=task.max_attempts).pk
    assert relay(broker).step()
    assert broker.batches == []
    assert (row(pk).state, row(pk).last_error) == (State.DEAD, dispatcher.DIED_EACH_TIME)


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
    assert relay(broker).step()
    assert not OutboxMessage.objects.exists()
    assert HistoryMessage.objects.get(pk=pk).sends == 1


def test_a_refusal_after_a_lost_lease_touches_nothing(broker: Broker) -> None:
    pk = MessageFactory().pk

    def be_slow(messages: Sequence[outbox.Message]) -> Outcome:
        make_due()
        assert store.claim_unsent_suspect(["celery"], registry.allowed_tasks())
        return refuse(messages)

    broker.answer = be_slow
    assert relay(broker).step()
    assert (row(pk).attempts, row(pk).last_error) == (2, "")
    assert row(pk).lease_token is not None


def test_a_task_that_is_not_allowed_is_left(broker: Broker, settings: Any) -> None:
    pk = MessageFactory(task="elsewhere.task_1", event_type="elsewhere").pk
    assert not relay(broker).step()
    settings.OUTBOX = {**settings.OUTBOX, "TASKS": ["elsewhere.task_"]}
    assert relay(broker).step()
    assert broker.sent == [pk]


def test_the_prefix_of_an_allowed_task_is_no_pattern(broker: Broker, settings: Any) -> None:
    MessageFactory(task="elsewhereXtask", event_type="elsewhere")
    settings.OUTBOX = {**settings.OUTBOX, "TASKS": ["elsewhere_", "%", "elsewhere\\"]}
    assert not relay(broker).step()


# Batches and the window


def test_a_batch_is_no_larger_than_its_size(broker: Broker) -> None:
    MessageFactory.create_batch(5)
    step = relay(broker, batch_size=2).step
    while step():
        pass
    assert broker.sizes == [2, 2, 1]


def test_every_queue_gets_its_share_of_a_step(broker: Broker) -> None:
    MessageFactory.create_batch(5, queue="one")
    MessageFactory.create_batch(3, queue="two")
    assert relay(broker, batch_size=2).step()
    assert broker.sizes == [2, 2]
    queues = [message.queue for batch in broker.batches for message in batch]
    assert sorted(queues) == ["one", "one", "two", "two"]


def test_a_full_queue_waits_and_stops_no_other(
    broker: Broker, settings: Any, always_counted: None
) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "MAX_IN_FLIGHT": 3}
    in_flight = MessageFactory.create_batch(2, queue="slow", state=State.DISPATCHED, due_in=60)
    MessageFactory.create_batch(4, queue="slow")
    MessageFactory.create_batch(2, queue="quick")
    step = relay(broker).step
    assert [step(), step()] == [True, False]
    queues = [message.queue for batch in broker.batches for message in batch]
    assert sorted(queues) == ["quick", "quick", "slow"]
    OutboxMessage.objects.filter(pk=in_flight[0].pk).delete()  # done
    assert step()
    assert broker.batches[-1][0].queue == "slow"
    assert len(broker.batches[-1]) == 1


def test_between_two_counts_the_relay_adds_what_it_sends(
    broker: Broker, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "MEASURE_SECONDS", 3600.0)
    settings.OUTBOX = {**settings.OUTBOX, "MAX_IN_FLIGHT": 3}
    MessageFactory.create_batch(10)
    step = relay(broker, batch_size=2).step
    assert [step(), step(), step()] == [True, True, False]
    assert broker.sizes == [2, 1]


def test_what_is_overdue_or_a_suspect_is_sent_though_the_queue_is_full(
    broker: Broker, settings: Any
) -> None:
    """They are in flight already: not sending them again would close the window for good."""
    settings.OUTBOX = {**settings.OUTBOX, "MAX_IN_FLIGHT": 1}
    overdue = MessageFactory(state=State.DISPATCHED).pk
    suspect = MessageFactory(state=State.DISPATCHED, leased=True, due_in=-1).pk
    MessageFactory(leased=True, due_in=-1, suspect=True)
    MessageFactory()
    step = relay(broker).step
    assert [step(), step()] == [True, False]
    assert {*broker.sent} == {overdue, suspect}


# Outages of the broker


def test_in_an_outage_all_claims_are_given_back_unspent(broker: Broker) -> None:
    MessageFactory.create_batch(5, queue="one")
    MessageFactory.create_batch(5, queue="two")
    broker.answer = away
    relay_ = relay(broker, batch_size=2)
    assert not relay_.step()
    assert broker.sizes == [2], "the rest is not tried"
    relay_.settle()
    for left in OutboxMessage.objects.all():
        assert (left.state, left.attempts, left.lease_token) == (State.READY, 0, None)
        assert (left.suspect, left.last_error) == (False, "")


def test_in_an_outage_nothing_else_is_tried_in_the_step(broker: Broker) -> None:
    MessageFactory()
    overdue = MessageFactory(state=State.DISPATCHED).pk
    suspect = MessageFactory(leased=True, due_in=-1).pk
    broker.answer = away
    assert not relay(broker).step()
    assert broker.sizes == [1]
    assert (row(overdue).sends, row(suspect).attempts) == (1, 1), "not even claimed"


def test_a_suspect_given_back_in_an_outage_stays_one(broker: Broker) -> None:
    pk = MessageFactory(leased=True, due_in=-1).pk
    broker.answer = away
    relay(broker).step()
    assert (row(pk).attempts, row(pk).suspect, row(pk).lease_token) == (1, True, None)


def test_the_relay_pauses_in_an_outage_and_recovers(
    broker: Broker, short_pauses: None, caplog: pytest.LogCaptureFixture
) -> None:
    pk = MessageFactory().pk
    broker.answer = away
    step = relay(broker).step
    with caplog.at_level(logging.WARNING):
        assert not step()
        assert not step()
        assert broker.sizes == [1], "the second step came in the pause"
        eventually(lambda: step() or len(broker.batches) == 3)
        broker.answer = confirm
        assert eventually(step)
        assert row(pk).state == State.DISPATCHED
        make_due()
        broker.answer = away
        step()
    words = [record.message.split()[0] for record in caplog.records]
    assert words == ["relay.outage", "relay.recovered", "relay.outage"], "each is said once"


def test_the_pause_doubles_up_to_a_bound(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr(dispatcher, "time", SimpleNamespace(monotonic=lambda: clock))
    MessageFactory()
    broker.answer = away
    step = relay(broker).step
    pauses = []
    for _ in range(8):
        before, tried = clock, len(broker.batches)
        while len(broker.batches) == tried:
            step()
            clock += 0.25
        pauses.append(clock - 0.25 - before)
    assert pauses[1:6] == [0.25, 0.75, 1.75, 3.75, 7.75], "0.5, 1, 2, 4, 8 less the step before"
    assert pauses[6:] == [dispatcher.LONGEST_PAUSE_SECONDS - 0.25] * 2


# Outages of the database, and transactions


@committed
def test_no_transaction_is_open_while_the_relay_talks_to_the_broker(
    broker: Broker, always_counted: None
) -> None:
    MessageFactory.create_batch(3)
    MessageFactory(state=State.DISPATCHED)
    MessageFactory(leased=True, due_in=-1)
    step = relay(broker, batch_size=2).step
    for answer in (confirm, refuse, away):
        broker.answer = answer
        step()
        make_due()
    assert len(broker.batches) >= 5
    assert {*broker.transactions} == {(False, TRANSACTION_STATUS_IDLE)}


@committed
def test_a_mark_lost_with_the_connection_is_written_at_the_next_step(broker: Broker) -> None:
    pk = MessageFactory().pk

    def confirm_as_the_connection_ends(messages: Sequence[outbox.Message]) -> Outcome:
        end_own_session()
        return confirm(messages)

    broker.answer = confirm_as_the_connection_ends
    step = relay(broker).step
    with lost_connection():
        step()
    assert row(pk).state == State.READY

    assert not step()

    assert (row(pk).state, row(pk).attempts) == (State.DISPATCHED, 0)
    assert broker.sizes == [1], "no second sending"


@committed
def test_refusals_and_refunds_lost_with_the_connection_are_written_even_in_the_pause(
    broker: Broker,
) -> None:
    refused, unsent, unsent_too = (MessageFactory(queue=queue).pk for queue in "aab")

    def refuse_one_as_the_connection_ends(_messages: Sequence[outbox.Message]) -> Outcome:
        end_own_session()
        return Outcome(refused={refused: "no queue takes it"})

    broker.answer = refuse_one_as_the_connection_ends
    relay_ = relay(broker, batch_size=2)
    with lost_connection():
        relay_.step()
    assert {row(pk).attempts for pk in (refused, unsent, unsent_too)} == {1}
    assert {row(pk).suspect for pk in (refused, unsent, unsent_too)} == {True}

    broker.answer = away
    relay_.step()  # settles, sends, and now there is a pause
    relay_.step()

    assert (row(refused).attempts, row(refused).last_error) == (1, "no queue takes it")
    for pk in (unsent, unsent_too):
        assert (row(pk).attempts, row(pk).suspect, row(pk).lease_token) == (0, False, None)


@committed
def test_a_refund_that_a_pause_follows_is_not_held_up_by_it(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "FIRST_PAUSE_SECONDS", 3600.0)
    waiting = MessageFactory.create_batch(4)
    broker.answer = away
    relay_ = relay(broker, batch_size=4)
    relay_.step()
    MessageFactory(leased=True)

    later = OutboxMessage.objects.filter(pk__in=[each.pk for each in waiting])
    assert not relay_.step()
    assert {left.attempts for left in later} == {0}
    assert {left.lease_token for left in later} == {None}
    assert broker.sizes == [4]
