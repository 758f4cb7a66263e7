"""Batches, and the window of each queue."""

from __future__ import annotations

from typing import Any

import pytest

from outbox.models import OutboxMessage
from outbox.states import State
from relay import window
from tests.message_factory import MessageFactory
from tests.relay.dispatcher.dispatching import Broker, relay

pytestmark = pytest.mark.django_db


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
    assert [step(), step()] == [False, False]
    queues = [message.queue for batch in broker.batches for message in batch]
    assert sorted(queues) == ["quick", "quick", "slow"]
    OutboxMessage.objects.filter(pk=in_flight[0].pk).delete()  # done
    step()
    assert broker.batches[-1][0].queue == "slow"
    assert len(broker.batches[-1]) == 1


def test_between_two_counts_the_relay_adds_what_it_sends(
    broker: Broker, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "MEASURE_SECONDS", 3600.0)
    monkeypatch.setattr(window, "SHARES", 1)
    settings.OUTBOX = {**settings.OUTBOX, "MAX_IN_FLIGHT": 3}
    MessageFactory.create_batch(10)
    step = relay(broker, batch_size=2).step
    assert [step(), step(), step()] == [True, False, False]
    assert broker.sizes == [2, 1]


def test_what_others_send_is_counted_before_the_room_can_be_used_up(
    broker: Broker, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "MEASURE_SECONDS", 3600.0)
    settings.OUTBOX = {**settings.OUTBOX, "MAX_IN_FLIGHT": 20}
    MessageFactory.create_batch(10)
    step = relay(broker, batch_size=2).step
    step()
    MessageFactory.create_batch(17, state=State.DISPATCHED, due_in=60)  # by another relay
    assert [step(), step()] == [False, False]
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


def test_no_claim_takes_more_than_a_share_of_the_room(
    broker: Broker, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other relays have in the air, as many shares, is found by no count."""
    monkeypatch.setattr(window, "LEAST", 3)
    settings.OUTBOX = {**settings.OUTBOX, "MAX_IN_FLIGHT": 160}
    MessageFactory.create_batch(150)
    step = relay(broker, batch_size=100).step
    assert step(), "there is more, though less came than a batch may have"
    assert broker.sizes == [160 // window.SHARES]
    while step():
        pass
    assert max(broker.sizes) == broker.sizes[0]
    assert min(broker.sizes[:-1]) == 3
    assert len(set(broker.sent)) == 150
