"""A suspect is sent when nothing else is in the air, however much waits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import outbox
from outbox.models import OutboxMessage
from outbox.states import State
from relay import dispatcher
from relay.outcome import Outcome
from tests.message_factory import MessageFactory
from tests.relay.dispatcher.dispatching import Broker, relay

pytestmark = pytest.mark.django_db


class Sky(Broker):
    """Knows which batches are in the air, and what was marked when one was started."""

    def __init__(self) -> None:
        super().__init__()
        self.air: list[Outcome] = []
        self.beside: dict[int, int] = {}
        self.marked: dict[int, int] = {}

    def start(self, messages: Sequence[outbox.Message]) -> Outcome:
        number = len(self.batches)
        self.beside[number] = len(self.air)
        self.marked[number] = OutboxMessage.objects.filter(state=State.DISPATCHED).count()
        outcome = super().start(messages)
        self.air.append(outcome)
        return outcome

    def finish(self, sending: Outcome) -> Outcome:
        self.air = [each for each in self.air if each is not sending]
        return super().finish(sending)


@pytest.fixture
def broker() -> Sky:
    return Sky()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "QUICK_SECONDS", 3600.0)


def test_in_a_backlog_a_suspect_is_sent_when_nothing_is_in_the_air(broker: Sky) -> None:
    MessageFactory.create_batch(12)
    step = relay(broker, batch_size=2).step
    for _ in range(3):
        assert step()
    assert len(broker.air) == 2
    suspect = MessageFactory(suspect=True).pk
    while step():
        pass
    alone = next(n for n, batch in enumerate(broker.batches) if batch[0].id == suspect)
    assert 3 < alone < len(broker.batches) - 1, "between two batches"
    assert len(broker.batches[alone]) == 1
    assert broker.beside[alone] == 0
    assert broker.marked[alone] == len([m for batch in broker.batches[:alone] for m in batch])
    assert broker.beside[alone + 1] == 0
    assert len(broker.sent) == 13
