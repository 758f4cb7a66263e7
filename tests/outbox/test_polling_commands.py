"""`manage.py postprocess` and `manage.py relay`: their options and exit codes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from django.core.management import load_command_class
from django.db import transaction

import outbox
from outbox.declaration import Task
from outbox.management import polling
from outbox.models import OutboxMessage
from outbox.states import State
from relay.management.commands import relay
from relay.outcome import Outcome
from tests.conftest import Declare
from tests.message_factory import TASK, MessageFactory

committed = pytest.mark.django_db(transaction=True)

COMMANDS = {"postprocess": "outbox", "relay": "relay"}


class Broker:
    """Stands in for the publisher: takes everything, or nothing."""

    away = False

    def __init__(self, _app: object, *, deadline: float) -> None:
        assert deadline > 0

    def start(self, messages: Sequence[outbox.Message]) -> Outcome:
        if self.away:
            return Outcome(outage="connection refused")
        return Outcome(confirmed={message.id for message in messages})

    def finish(self, sending: Outcome) -> Outcome:
        return sending

    def close(self) -> None:
        closed.append(self)


closed: list[Broker] = []


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> type[Broker]:
    closed.clear()
    monkeypatch.setattr(relay, "Publisher", Broker)
    monkeypatch.setattr(Broker, "away", False)
    return Broker


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "PATIENCE_SECONDS", 0.3)


@pytest.fixture
def task(declare: Declare) -> Task[Any]:
    @declare("thing.happened", name=TASK)
    def happened(order_id: int) -> None: ...

    return happened


def exit_code(name: str, *options: str) -> int:
    """Run a command as `manage.py` would, but in this process, and return its exit code."""
    command = load_command_class(COMMANDS[name], name)
    try:
        command.run_from_argv(["manage.py", name, *options])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def states() -> list[str]:
    return sorted(OutboxMessage.objects.values_list("state", flat=True))


# --drain


@committed
def test_postprocess_drains_what_is_pending_and_exits_0(task: Task[Any]) -> None:
    batches: list[int] = []
    task.prepare(lambda messages: batches.append(len(messages)))
    with transaction.atomic():
        for number in range(5):
            task.enqueue(order_id=number)
    assert exit_code("postprocess", "--drain", "--batch-size", "2") == 0
    assert states() == [State.READY] * 5
    assert batches == [2, 2, 1]


@committed
def test_relay_drains_what_is_ready_and_exits_0(task: Task[Any], broker: type[Broker]) -> None:
    MessageFactory.create_batch(3)
    MessageFactory(state=State.DISPATCHED)
    MessageFactory(state=State.DISPATCHED, due_in=60)
    MessageFactory(state=State.PENDING)
    assert exit_code("relay", "--drain") == 0
    assert states() == [State.DISPATCHED] * 5 + [State.PENDING]
    assert len(closed) == 1


@committed
@pytest.mark.parametrize("name", COMMANDS)
def test_with_nothing_to_do_drain_exits_0_at_once(name: str, broker: type[Broker]) -> None:
    before = time.monotonic()
    assert exit_code(name, "--drain") == 0
    assert time.monotonic() - before < 5


@committed
@pytest.mark.parametrize("name", COMMANDS)
def test_without_progress_drain_exits_1_and_says_so(
    name: str,
    task: Task[Any],
    broker: type[Broker],
    impatient: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another process has claimed it, and has died."""
    MessageFactory(state=State.PENDING if name == "postprocess" else State.READY, leased=True)
    assert exit_code(name, "--drain", "--poll-interval", "0.05") == 1
    assert "Not drained" in capsys.readouterr().err


@committed
def test_relay_drain_exits_1_while_the_broker_is_away(
    task: Task[Any], broker: type[Broker], impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "away", True)
    MessageFactory.create_batch(3)
    assert exit_code("relay", "--drain", "--poll-interval", "0.05", "--batch-size", "1") == 1
    assert states() == [State.READY] * 3
    assert {*OutboxMessage.objects.values_list("attempts", "lease_token")} == {(0, None)}
    assert len(closed) == 1, "also after a failure"


@committed
def test_postprocess_drain_waits_for_what_was_given_back(task: Task[Any]) -> None:
    """What waits for its time is not due: it is no reason to stay, and none to fail."""
    task.prepare(lambda messages: messages)
    with transaction.atomic():
        task.enqueue(order_id=1)
    assert exit_code("postprocess", "--drain") == 0
    assert states() == [State.PENDING]


# Options


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "options",
    [
        ("--batch-size", "0"),
        ("--batch-size", "-1"),
        ("--batch-size", "1.5"),
        ("--batch-size", "many"),
        ("--poll-interval", "0"),
        ("--poll-interval", "-0.1"),
        ("--poll-interval", "nan"),
        ("--poll-interval", "inf"),
        ("--poll-interval", "soon"),
        ("--poll-intervall", "1"),
        ("7",),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(
    name: str, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(name, *options) == 2
    assert options[-1] in capsys.readouterr().err
