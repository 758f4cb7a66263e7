"""Outages of the broker and of the database spend no attempt and lose no mark."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from psycopg2.extensions import TRANSACTION_STATUS_IDLE

import outbox
from outbox.models import OutboxMessage
from outbox.states import State
from relay import dispatcher
from relay.outcome import Outcome
from tests.message_factory import MessageFactory
from tests.relay.dispatcher.dispatching import (
    Broker,
    away,
    committed,
    confirm,
    end_own_session,
    lost_connection,
    make_due,
    refuse,
    relay,
    row,
)
from tests.waiting import eventually

pytestmark = pytest.mark.django_db


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
        assert left.sends == 0, "the broker cannot have got it"


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
        eventually(lambda: step() or row(pk).state == State.DISPATCHED)
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


def test_what_the_broker_may_have_got_in_an_outage_counts_as_sent(broker: Broker) -> None:
    written, unwritten = (message.pk for message in MessageFactory.create_batch(2))
    broker.answer = lambda _: Outcome(outage="cut off", written={written})
    relay(broker).step()
    assert (row(written).sends, row(unwritten).sends) == (1, 0)
    assert (row(written).attempts, row(unwritten).attempts) == (0, 0)


def test_a_slow_broker_keeps_no_kind_from_its_turn(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0

    def slowly(messages: Sequence[outbox.Message]) -> Outcome:
        nonlocal clock
        clock += dispatcher.LONGEST_SENDING_SECONDS
        return Outcome(confirmed={message.id for message in messages})

    monkeypatch.setattr(dispatcher, "time", SimpleNamespace(monotonic=lambda: clock))
    broker.answer = slowly
    MessageFactory(queue="one")
    MessageFactory(queue="two")
    overdue = MessageFactory(state=State.DISPATCHED).pk
    suspect = MessageFactory(suspect=True).pk
    relay(broker, batch_size=1).step()
    assert broker.sizes == [1, 1, 1], "one batch of each kind"
    assert {overdue, suspect} < {*broker.sent}
