"""`manage.py postprocess` and `manage.py relay` as real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from outbox.models import OutboxMessage
from outbox.states import State
from tests.message_factory import MessageFactory
from tests.service import database_url
from tests.sql import query
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("postprocess", "relay")


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


@pytest.mark.parametrize("name", COMMANDS)
def test_sigterm_ends_an_idle_process_with_0_at_once(
    name: str, start: Start, tmp_path: Path
) -> None:
    running = start(name, f"filesystem://{tmp_path}", "--poll-interval", "3600")
    running.wait_until_it_listens()
    code, seconds = running.stop()
    assert code == 0
    assert seconds < 3


def test_what_an_outage_of_the_broker_left_unsent_is_given_back_before_the_stop(
    start: Start,
) -> None:
    rows = [
        MessageFactory(event_type="post.created", task="app.tasks.index_post", queue=queue)
        for queue in ("one", "two", "three")
    ]
    version = "SELECT xmin::text FROM outbox_message"
    written = {*query(version)}
    with socket.socket() as silent:  # bound, but nobody listens: refused
        silent.bind(("127.0.0.1", 0))
        url = f"amqp://127.0.0.1:{silent.getsockname()[1]}//"
        running = start("relay", url, "--batch-size", "1", "--poll-interval", "3600")
        left = OutboxMessage.objects.filter(pk__in=[row.pk for row in rows])
        # The first is tried; the two behind it were claimed with it, and are not tried any more.
        eventually(lambda: not written & {*query(version)}, 20)
        eventually(lambda: not left.filter(lease_token__isnull=False), 20)
        running.wait_until_it_listens()
        code, _ = running.stop()
    assert code == 0
    assert {*left.values_list("state", "attempts", "lease_token", "suspect")} == {
        (State.READY, 0, None, False)
    }
    stderr = running.process.communicate()[1]
    assert "relay.outage" in stderr
    assert "Traceback" not in stderr


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
