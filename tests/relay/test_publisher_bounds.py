"""What bounds the waits of batches that are in the air together."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import amqp
import pytest

from outbox import Message
from relay import publisher as publisher_module
from relay.envelope import Envelope
from relay.line import Line
from relay.outcome import Outcome
from relay.publisher import Publisher
from tests.relay.conftest import new_app


class Noting:
    """A sender that settles nothing before the end, and keeps the deadlines it was given."""

    connected = True

    def __init__(self, _app: object) -> None:
        self.started: list[float] = []
        self._air: list[tuple[Sequence[Message], Outcome]] = []

    def start(self, messages: Sequence[Message], outcome: Outcome, deadline: float) -> int:
        self.started.append(deadline)
        self._air.append((messages, outcome))
        return len(self._air)

    def finish(self, mark: int, _deadline: float) -> None:
        for messages, outcome in self._air[:mark]:
            outcome.confirmed.update(each.id for each in messages)


def test_what_waits_for_its_end_is_not_held_up_by_what_comes_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    senders: list[Noting] = []

    def noting(app: object) -> Noting:
        senders.append(Noting(app))
        return senders[0]

    monkeypatch.setattr(publisher_module, "ConfirmedSender", noting)
    publisher = Publisher(new_app("amqp://127.0.0.1:1"), deadline=10)
    first, second = (publisher.start([_message()]) for _ in range(2))
    publisher.finish(first)
    third = publisher.start([_message()])
    assert first.deadline < second.deadline < third.deadline
    assert senders[0].started == [first.deadline, first.deadline, second.deadline]


def _message() -> Message:
    return Message(uuid.uuid4(), "order.placed", "tests.unknown", "celery", sends=1)


class Scripted:
    """A wire whose broker says what the test has written down, one word at each reading."""

    def __init__(self) -> None:
        self.events: dict[str, set[Callable[..., None]]] = {
            name: set() for name in ("basic_ack", "basic_nack", "basic_return")
        }
        self.words: list[tuple[int, bool]] = []

    def channel(self, _number: int) -> Scripted:
        return self

    def confirm_select(self) -> None:
        """The broker counts from now on."""

    @contextmanager
    def held(self) -> Iterator[bytearray]:
        yield bytearray()

    def readable(self) -> bool:
        return False

    def drain_events(self) -> None:
        assert self.words, "it waits for a word that does not come"
        [acked] = self.events["basic_ack"]
        acked(*self.words.pop(0))


def test_the_end_of_a_batch_is_waited_for_and_no_later_one() -> None:
    wire = Scripted()
    line = Line(cast("Any", wire))
    first, second = Outcome(), Outcome()
    mark = line.write([_envelope(), _envelope()], first)
    line.write([_envelope()], second)
    wire.words = [(1, False), (2, False)]
    line.wait(mark)
    assert (len(first.confirmed), len(second.confirmed)) == (2, 0)
    wire.words = [(3, True)]
    line.wait(mark + 1)
    assert len(second.confirmed) == 1


def _envelope() -> Envelope:
    own = uuid.uuid4()
    return Envelope(own, str(own), "", "queue", (), amqp.Message(), b"frames")
