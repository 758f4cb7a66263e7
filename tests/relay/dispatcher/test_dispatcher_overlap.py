"""While there is more, the next batch is sent before the word on the last one is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import OperationalError

import outbox
from outbox import backlog, store
from outbox.models import OutboxMessage
from outbox.states import State
from relay import dispatcher, due, window
from relay.outcome import Outcome
from tests.message_factory import MessageFactory
from tests.relay.dispatcher.dispatching import Broker, away, confirm, relay, row

pytestmark = pytest.mark.django_db


class Airfield(Broker):
    """Notes the order in which batches are started and finished."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[str] = []
        self._numbers: dict[int, int] = {}

    def start(self, messages: Sequence[outbox.Message]) -> Outcome:
        outcome = super().start(messages)
        self._numbers[id(outcome)] = len(self.batches)
        self.log.append(f"start {len(self.batches)}")
        return outcome

    def finish(self, sending: Outcome) -> Outcome:
        self.log.append(f"finish {self._numbers[id(sending)]}")
        return super().finish(sending)


@pytest.fixture
def broker() -> Airfield:
    return Airfield()


def states() -> list[str]:
    return sorted(OutboxMessage.objects.values_list("state", flat=True))


def test_the_next_batches_are_under_way_before_the_last_is_finished(
    broker: Airfield, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "QUICK_SECONDS", 3600.0)
    MessageFactory.create_batch(9)
    step = relay(broker, batch_size=2).step
    assert [step(), step(), step(), step(), step()] == [True, True, True, True, False]
    assert broker.log == [
        *("start 1", "finish 1", "start 2", "start 3"),
        *("start 4", "finish 2", "start 5", "finish 3"),
        *("finish 4", "finish 5"),
    ]
    assert states() == [State.DISPATCHED] * 9


def test_a_slow_broker_has_fewer_in_the_air(
    broker: Airfield, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "QUICK_SECONDS", 0.0)
    MessageFactory.create_batch(7)
    step = relay(broker, batch_size=2).step
    assert [step(), step(), step(), step()] == [True, True, True, False]
    assert broker.log == [
        *("start 1", "finish 1", "start 2"),
        *("start 3", "finish 2", "start 4", "finish 3"),
        "finish 4",
    ]
    assert states() == [State.DISPATCHED] * 7


def test_what_is_in_the_air_at_the_end_is_marked(broker: Airfield) -> None:
    MessageFactory.create_batch(6)
    relay_ = relay(broker, batch_size=2)
    relay_.step()
    relay_.step()
    assert states() == [State.DISPATCHED] * 2 + [State.READY] * 4
    relay_.settle()  # as at a stop
    assert states() == [State.DISPATCHED] * 4 + [State.READY] * 2


def test_an_outage_ends_all_that_is_in_the_air_and_spends_nothing(broker: Airfield) -> None:
    MessageFactory.create_batch(6)
    relay_ = relay(broker, batch_size=2)
    relay_.step()
    broker.answer = away
    while relay_.step():
        pass
    relay_.settle()
    assert broker.sizes == [2, 2, 2]
    assert states() == [State.DISPATCHED] * 2 + [State.READY] * 4
    assert {(each.attempts, each.lease_token) for each in OutboxMessage.objects.all()} == {
        (0, None)
    }


def test_a_suspect_flies_alone(broker: Airfield) -> None:
    MessageFactory.create_batch(4)
    suspect = MessageFactory(suspect=True).pk
    step = relay(broker, batch_size=2).step
    while step():
        pass
    alone = next(n for n, batch in enumerate(broker.batches, 1) if batch[0].id == suspect)
    assert len(broker.batches[alone - 1]) == 1
    at = broker.log.index(f"start {alone}")
    assert broker.log[at + 1] == f"finish {alone}"
    assert sorted(broker.log[:at]) == sorted(
        f"{word} {n}" for word in ("start", "finish") for n in range(1, alone)
    )


def test_the_word_on_what_is_in_the_air_is_kept_when_the_database_is_lost(
    broker: Airfield, monkeypatch: pytest.MonkeyPatch
) -> None:
    MessageFactory.create_batch(6)
    relay_ = relay(broker, batch_size=2)
    relay_.step()
    relay_.step()

    def lose(*_args: object) -> None:
        raise OperationalError("lost")

    with monkeypatch.context() as patched:
        patched.setattr(store, "claim_ready", lose)
        with pytest.raises(OperationalError):
            relay_.step()
    assert broker.log[-1] == "finish 2"
    assert states() == [State.DISPATCHED] * 2 + [State.READY] * 4, "nothing could be written"
    relay_.settle()
    assert states() == [State.DISPATCHED] * 4 + [State.READY] * 2


def test_what_is_in_the_air_fills_the_window(
    broker: Airfield, settings: Any, always_counted: None
) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "MAX_IN_FLIGHT": 5}
    MessageFactory.create_batch(10)
    step = relay(broker, batch_size=2).step
    while step():
        pass
    assert broker.sizes == [2, 2, 1]


def test_what_is_refused_leaves_room_in_the_window(
    broker: Airfield, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "MEASURE_SECONDS", 3600.0)
    monkeypatch.setattr(window, "SHARES", 1)
    settings.OUTBOX = {**settings.OUTBOX, "MAX_IN_FLIGHT": 4}
    MessageFactory.create_batch(6)
    culprit = OutboxMessage.objects.order_by("due_at")[0].pk
    broker.answer = lambda batch: Outcome(
        confirmed={each.id for each in batch} - {culprit},
        refused={each.id: "no" for each in batch if each.id == culprit},
    )
    step = relay(broker, batch_size=2).step
    while step():
        pass
    assert states().count(State.DISPATCHED) == 4


class Never:
    """An allowance that grants nothing any more."""

    def granted(self) -> bool:
        return False


def test_between_two_looks_ready_messages_are_still_sent(
    broker: Airfield, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay_ = relay(broker)
    assert not relay_.step()
    looked = relay_._due
    for name in ("_whole", "_narrow", "_from_start"):
        monkeypatch.setattr(looked, name, Never())
    monkeypatch.setattr(backlog, "due_to_send", lambda *_: pytest.fail("a look"))
    first = MessageFactory(due_in=-100.0).pk
    relay_.step()
    late = MessageFactory(due_in=-200.0).pk
    relay_.step()
    assert (row(first).state, row(late).state) == (State.DISPATCHED, State.READY)

    monkeypatch.setattr(looked, "_from_start", due.Allowance())
    relay_.step()
    assert row(late).state == State.DISPATCHED


def test_between_two_whole_looks_what_has_become_due_is_found(
    broker: Airfield, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay_ = relay(broker)
    assert not relay_.step()
    monkeypatch.setattr(relay_._due, "_whole", Never())
    found = [MessageFactory(state=State.DISPATCHED).pk, MessageFactory(suspect=True).pk]
    broker.answer = confirm
    relay_.step()
    assert sorted(broker.sent) == sorted(found)


def test_overdue_messages_and_suspects_are_sent_to_the_last_between_two_looks(
    broker: Airfield, monkeypatch: pytest.MonkeyPatch
) -> None:
    MessageFactory.create_batch(5, state=State.DISPATCHED)
    MessageFactory.create_batch(3, suspect=True)
    relay_ = relay(broker, batch_size=2)
    assert relay_.step()
    for name in ("_whole", "_narrow", "_from_start"):
        monkeypatch.setattr(relay_._due, name, Never())
    while relay_.step():
        pass
    assert len(broker.sent) == 8
    assert not OutboxMessage.objects.filter(lease_token__isnull=False).exists()
