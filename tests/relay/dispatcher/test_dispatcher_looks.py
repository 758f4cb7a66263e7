"""A look from where an earlier one has found nothing misses nothing that is due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from outbox import backlog
from outbox.allowance import Allowance
from outbox.models import OutboxMessage
from outbox.states import State
from relay import due, window
from relay.window import Window
from tests.message_factory import MessageFactory
from tests.relay.dispatcher.dispatching import Broker, relay

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_whole_look", "always_counted")]

OVERDUE: dict[str, Any] = {"state": State.DISPATCHED}
SUSPECT: dict[str, Any] = {"suspect": True}
COMMIT_SECONDS = 9.0
"""Any transaction has committed after ten."""


class Once:
    """An allowance for one look."""

    def __init__(self) -> None:
        self._left = 1

    def granted(self) -> bool:
        self._left -= 1
        return self._left >= 0

    @contextmanager
    def spent(self) -> Iterator[None]:
        yield


@pytest.fixture
def one_whole_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a forgotten transaction makes looks at everything dear; the others are granted."""

    def allowance(longest_wait: float | None = None) -> Allowance | Once:
        return Allowance() if longest_wait is None else Once()

    for module in (due, window):
        monkeypatch.setattr(module, "Allowance", allowance)


def send_all(step: Callable[[], bool]) -> None:
    while step():
        pass


@pytest.mark.parametrize("kind", [OVERDUE, SUSPECT], ids=["overdue", "suspect"])
def test_what_a_look_found_and_the_step_left_is_found_by_the_next(
    broker: Broker, kind: dict[str, Any]
) -> None:
    MessageFactory.create_batch(5, due_in=-100.0, **kind)
    send_all(relay(broker, batch_size=2).step)
    assert len(broker.sent) == 5


@pytest.mark.parametrize("kind", [OVERDUE, SUSPECT], ids=["overdue", "suspect"])
def test_what_took_long_to_commit_is_found(broker: Broker, kind: dict[str, Any]) -> None:
    step = relay(broker).step
    step()
    late = MessageFactory(due_in=-COMMIT_SECONDS, **kind).pk
    step()
    assert broker.sent == [late]


def test_a_look_walks_over_nothing_that_one_before_has_seen(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, bool]] = []
    real = backlog.due_to_send

    def noted(since: float, *, ready: bool = False) -> tuple[bool, bool, bool, float]:
        asked.append((since, ready))
        return real(since, ready=ready)

    monkeypatch.setattr(backlog, "due_to_send", noted)
    step = relay(broker).step
    step()
    step()
    [(first, _), (second, ready_is_left_to_the_claim)] = asked
    assert first < 0 < second
    assert ready_is_left_to_the_claim


def test_a_queue_that_was_found_is_not_forgotten(broker: Broker) -> None:
    MessageFactory.create_batch(5, queue="one", due_in=-100.0)
    send_all(relay(broker, batch_size=2).step)
    assert len(broker.sent) == 5


@pytest.mark.parametrize("suspect", [False, True])
def test_a_new_queue_is_found(broker: Broker, suspect: bool) -> None:
    step = relay(broker).step
    MessageFactory(queue="old")
    step()
    late = MessageFactory(queue="new", due_in=-COMMIT_SECONDS, suspect=suspect).pk
    step()
    assert broker.sent[1:] == [late]


def test_queues_are_looked_for_from_the_last_look_on(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    since: list[float] = []
    real = backlog.ready_queues

    def noted(mark: float = float("-inf")) -> dict[str, float]:
        since.append(mark)
        return real(mark)

    monkeypatch.setattr(backlog, "ready_queues", noted)
    MessageFactory.create_batch(3)
    step = relay(broker, batch_size=1).step
    step()
    step()
    assert since[0] < 0 < since[1]


def test_a_queue_that_has_gone_is_forgotten_by_a_look_at_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(window, "Allowance", lambda _: Allowance())
    own = Window()
    MessageFactory(queue="gone")
    own.measure(1)
    assert "gone" in own.queues()
    OutboxMessage.objects.all().delete()
    own.measure(1)
    assert "gone" not in own.queues()


def test_what_is_overdue_in_a_queue_that_nobody_knows_is_sent(broker: Broker) -> None:
    overdue = MessageFactory(queue="elsewhere", state=State.DISPATCHED).pk
    relay(broker).step()
    assert broker.sent == [overdue]


@pytest.mark.parametrize("before", [0, 2])
def test_what_was_sent_before_and_since_the_count_of_everything_fills_the_window(
    broker: Broker, settings: Any, before: int
) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "MAX_IN_FLIGHT": 4}
    MessageFactory.create_batch(before, state=State.DISPATCHED, due_in=60.0)
    MessageFactory.create_batch(10)
    step = relay(broker, batch_size=1).step
    send_all(step)
    step()
    assert len(broker.sent) == 4 - before


def test_a_count_walks_over_nothing_that_was_done_before(
    broker: Broker, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "MAX_IN_FLIGHT": 4}
    counted: list[dict[str, float]] = []
    real = backlog.in_flight_since
    monkeypatch.setattr(
        backlog, "in_flight_since", lambda marks: counted.append(dict(marks)) or real(marks)
    )
    MessageFactory.create_batch(3)
    send_all(relay(broker, batch_size=1).step)
    assert counted
    assert all(mark > 0 for marks in counted for mark in marks.values())


def test_where_there_is_room_enough_nothing_is_counted_again(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    MessageFactory.create_batch(3)
    step = relay(broker, batch_size=1).step
    step()
    for name in ("in_flight_since", "in_flight_with_times"):
        monkeypatch.setattr(backlog, name, lambda *_: pytest.fail("a count"))
    send_all(step)
    assert len(broker.sent) == 3


def test_a_share_that_is_used_is_counted_before_more_is_sent(
    broker: Broker, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "MEASURE_SECONDS", 3600.0)
    monkeypatch.setattr(window, "LEAST", 3)
    settings.OUTBOX = {**settings.OUTBOX, "MAX_IN_FLIGHT": 160}
    MessageFactory.create_batch(50)
    step = relay(broker, batch_size=100).step
    assert step()
    assert broker.sizes == [160 // window.SHARES]
    MessageFactory.create_batch(150, state=State.DISPATCHED, due_in=600.0)  # by others
    step()
    assert broker.sizes == [160 // window.SHARES]
