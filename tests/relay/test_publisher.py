"""The publisher on a real AMQP broker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import celery
import pytest
from celery import Celery

from outbox import Message
from relay.publisher import Publisher
from tests.relay.conftest import NewMessage

pytestmark = pytest.mark.amqp


def send_task(app: Celery, message: Message) -> None:
    """What the publisher must equal."""
    app.send_task(
        message.task,
        args=[],
        kwargs={},
        task_id=str(message.id),
        queue=message.queue,
        headers={"outbox": message.sends},
    )


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def received(channel: Any, queue: str) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    found: list[Any] = []  # Celery sends without a confirm: it may still be on its way

    def look() -> bool:
        found.append(channel.basic_get(queue, no_ack=True))
        return found[-1] is not None

    wait_until(look)
    message = found[-1]
    where = {name: message.delivery_info[name] for name in ("exchange", "routing_key")}
    return message.body, message.properties, where


def length(channel: Any, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).message_count)


def nothing() -> None:
    """The body of a task that is never run."""


def test_a_message_equals_what_celery_sends(
    app: Celery, channel: Any, queue: str, message: NewMessage, publisher: Publisher
) -> None:
    sent = message(sends=3)
    send_task(app, sent)
    assert publisher.publish([sent]).confirmed == {sent.id}

    celerys, ours = received(channel, queue), received(channel, queue)
    assert ours == celerys
    assert ours[1]["application_headers"]["outbox"] == 3
    assert ours[1]["correlation_id"] == str(sent.id)


def test_a_message_carries_the_options_of_a_task_that_is_known(
    app: Celery, channel: Any, queue: str, message: NewMessage, publisher: Publisher
) -> None:
    options = {"expires": 60, "time_limit": 9, "soft_time_limit": 8}
    task = app.task(name="tests.with_options", shared=False, **options)(nothing)
    sent = message(task=task.name)
    publisher.publish([sent])

    ours = received(channel, queue)
    assert ours[1]["application_headers"]["timelimit"] == [9, 8]
    assert ours[1]["expiration"] == "60000"
    assert ours[1]["application_headers"].pop("expires"), "a time of day"
    if celery.VERSION >= (5, 7):  # before, send_task did not ask the task
        send_task(app, sent)
        celerys = received(channel, queue)
        assert celerys[1]["application_headers"].pop("expires")
        assert ours == celerys


def test_a_batch_of_300_is_confirmed(
    channel: Any, queue: str, message: NewMessage, publisher: Publisher
) -> None:
    batch = [message() for _ in range(300)]

    outcome = publisher.publish(batch)

    assert (outcome.confirmed, outcome.refused, outcome.outage) == ({m.id for m in batch}, {}, None)
    assert length(channel, queue) == 300
    assert [received(channel, queue)[1]["correlation_id"] for _ in batch] == [
        str(each.id) for each in batch
    ]


def test_an_empty_batch_needs_no_broker() -> None:
    publisher = Publisher(Celery(broker="amqp://127.0.0.1:1", set_as_current=False), deadline=1)

    assert publisher.publish([]).outage is None


WORKER = """
import pathlib
import celery
app = celery.Celery(broker={broker!r})
@app.task(name="tests.note", bind=True)
def note(self):
    with pathlib.Path("ran").open("a") as ran:
        print(self.request.id, self.request.headers["outbox"], file=ran)
"""


def test_a_celery_worker_runs_what_was_published(
    broker_url: str, queue: str, message: NewMessage, publisher: Publisher, tmp_path: Path
) -> None:
    batch = [message(task="tests.note", sends=each) for each in (1, 2, 1, 1, 1, 3)]
    publisher.publish(batch)
    (tmp_path / "worker.py").write_text(WORKER.format(broker=broker_url))
    (tmp_path / "ran").touch()
    celery = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-P", "solo", "-Q", queue]
    with (tmp_path / "log").open("w") as log:
        worker = subprocess.Popen(
            [*celery, "--without-gossip", "--without-mingle", "--without-heartbeat"],
            cwd=tmp_path,
            env={name: os.environ[name] for name in os.environ if "DJANGO" not in name},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: len((tmp_path / "ran").read_text().splitlines()) == len(batch))
    finally:
        worker.kill()
        worker.wait(10)

    expected = [f"{each.id} {each.sends}" for each in batch]
    assert (tmp_path / "ran").read_text().splitlines() == expected
