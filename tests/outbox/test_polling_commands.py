"""`manage.py postprocess` and `manage.py relay`: their options, exit codes and signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.core.management import load_command_class
from django.db import connection, transaction

import outbox
from outbox.declaration import Task
from outbox.management import polling
from outbox.models import OutboxMessage
from outbox.states import State
from relay.management.commands import relay
from relay.outcome import Outcome
from tests.conftest import Declare
from tests.message_factory import TASK, MessageFactory
from tests.service import database_url
from tests.waiting import eventually

committed = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {"postprocess": "outbox", "relay": "relay"}


class Broker:
    """Stands in for the publisher: takes everything, or nothing."""

    away = False

    def __init__(self, _app: object, *, deadline: float) -> None:
        assert deadline > 0

    def publish(self, messages: Sequence[outbox.Message]) -> Outcome:
        if self.away:
            return Outcome(outage="connection refused")
        return Outcome(confirmed={message.id for message in messages})

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


# Signals, in real processes


class Running:
    """A command in a process of its own, on the test database."""

    def __init__(self, name: str, broker_url: str, *options: str) -> None:
        self.name = name
        environment = {
            **os.environ,
            "DATABASE_URL": database_url("default"),
            "CELERY_BROKER_URL": broker_url,
            "DJANGO_SETTINGS_MODULE": "settings.test",
        }
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", name, *options],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_it_listens(self) -> None:
        eventually(self._listens, 20)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()[1]
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = %s AND state = 'idle'",
                [f"pillarbox {self.name}"],
            )
            return bool(cursor.fetchone()[0])

    def stop(self) -> tuple[int, float]:
        """SIGTERM: the exit code, and how many seconds it took."""
        before = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=20)
        return code, time.monotonic() - before


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Running] = []

    def start(*arguments: str) -> Running:
        started.append(Running(*arguments))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
        if running.process.stderr is not None:
            running.process.stderr.close()


@committed
@pytest.mark.parametrize("name", COMMANDS)
def test_sigterm_ends_an_idle_process_with_0_at_once(
    name: str, start: Start, tmp_path: Path
) -> None:
    running = start(name, f"filesystem://{tmp_path}", "--poll-interval", "3600")
    running.wait_until_it_listens()
    code, seconds = running.stop()
    assert code == 0
    assert seconds < 3


@committed
def test_sigterm_gives_back_what_an_outage_of_the_broker_left_unsent(start: Start) -> None:
    rows = [
        MessageFactory(event_type="post.created", task="app.tasks.index_post", queue=queue)
        for queue in ("one", "two", "three")
    ]
    with socket.socket() as silent:  # bound, but nobody listens: refused
        silent.bind(("127.0.0.1", 0))
        url = f"amqp://127.0.0.1:{silent.getsockname()[1]}//"
        running = start("relay", url, "--batch-size", "1", "--poll-interval", "3600")
        left = OutboxMessage.objects.filter(pk__in=[row.pk for row in rows])
        eventually(lambda: not left.filter(sends=0).exists(), 20)
        running.wait_until_it_listens()
        code, _ = running.stop()
    assert code == 0
    assert {*left.values_list("state", "attempts", "lease_token", "suspect")} == {
        (State.READY, 0, None, False)
    }
    stderr = running.process.communicate()[1]
    assert "relay.outage" in stderr
    assert "Traceback" not in stderr


@committed
def test_relay_drain_reaches_a_real_broker(start: Start, tmp_path: Path) -> None:
    pk = MessageFactory(event_type="post.created", task="app.tasks.index_post").pk
    folder = tmp_path / "broker"
    folder.mkdir()
    running = start("relay", f"filesystem://{folder}", "--drain")
    assert running.process.wait(timeout=20) == 0, running.process.communicate()[1]
    assert OutboxMessage.objects.get(pk=pk).state == State.DISPATCHED
    (message,) = folder.glob("*.msg")
    text = message.read_text()
    assert str(pk) in text
    assert '"outbox": 1' in text
