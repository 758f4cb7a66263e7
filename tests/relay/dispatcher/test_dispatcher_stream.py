"""A stream of single messages: each is sent at once, the word on them is read later."""

from __future__ import annotations

import pytest

from outbox import backlog
from outbox.models import OutboxMessage
from outbox.states import State
from relay import dispatcher, due
from relay.dispatcher import Dispatcher
from tests.message_factory import MessageFactory
from tests.relay.dispatcher.dispatching import Broker, away, relay, row

pytestmark = pytest.mark.django_db


class Flights(Broker):
    """Counts the batches whose end was waited for."""

    finished = 0

    def finish(self, sending: object) -> object:  # type: ignore[override]
        self.finished += 1
        return sending


@pytest.fixture
def broker() -> Flights:
    return Flights()


@pytest.fixture(autouse=True)
def long_flights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "AIR_SECONDS", 600.0)
    monkeypatch.setattr(due, "LOOK_SECONDS", 600.0)


def states() -> list[str]:
    return sorted(OutboxMessage.objects.values_list("state", flat=True))


def send_singly(relay_: Dispatcher, number: int) -> None:
    for _ in range(number):
        MessageFactory()
        assert not relay_.advance()


def test_the_next_is_sent_before_the_word_on_the_last_is_waited_for(broker: Flights) -> None:
    relay_ = relay(broker)
    send_singly(relay_, 3)
    assert (broker.sizes, broker.finished) == ([1, 1, 1], 0)
    assert states() == [State.READY] * 3
    relay_.settle()  # as in quiet
    assert broker.finished == 3
    assert states() == [State.DISPATCHED] * 3


def test_so_many_as_a_batch_holds_stay_in_the_air(broker: Flights) -> None:
    relay_ = relay(broker, batch_size=3)
    send_singly(relay_, 2)
    assert broker.finished == 0
    send_singly(relay_, 1)
    assert broker.finished == 3
    relay_.settle()
    assert states() == [State.DISPATCHED] * 3


def test_none_stays_in_the_air_for_long(broker: Flights, monkeypatch: pytest.MonkeyPatch) -> None:
    relay_ = relay(broker)
    send_singly(relay_, 2)
    monkeypatch.setattr(dispatcher, "AIR_SECONDS", 0.0)
    assert not relay_.advance(), "notified, but another relay was faster"
    assert broker.finished == 2
    assert states() == [State.DISPATCHED] * 2


def test_an_outage_is_found_and_spends_nothing(broker: Flights) -> None:
    relay_ = relay(broker)
    broker.answer = away
    send_singly(relay_, 2)
    relay_.settle()
    assert {(each.attempts, each.lease_token) for each in OutboxMessage.objects.all()} == {
        (0, None)
    }
    MessageFactory()
    assert not relay_.advance()
    assert broker.sizes == [1, 1], "nothing is sent in the pause"


def test_where_ready_messages_are_expected_they_are_not_looked_for(
    broker: Flights, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay_ = relay(broker)
    relay_.step()
    with monkeypatch.context() as patched:
        patched.setattr(backlog, "due_to_send", lambda *_, **__: pytest.fail("a look"))
        send_singly(relay_, 2)
    suspect = MessageFactory(suspect=True).pk
    monkeypatch.setattr(due, "LOOK_SECONDS", 0.0)
    while relay_.advance():
        pass
    assert row(suspect).state == State.DISPATCHED, "a look is not put off for ever"


def test_suspects_that_were_found_are_sent_one_after_the_other(broker: Flights) -> None:
    MessageFactory.create_batch(3, suspect=True)
    relay_ = relay(broker)
    while relay_.advance():
        pass
    assert broker.sizes == [1, 1, 1]
