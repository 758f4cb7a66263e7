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
from celery import Celery, signals
from kombu import Exchange, Queue

from outbox import Message
from relay.publisher import Publisher
from tests.relay.conftest import NewMessage, NewQueue

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


def received(channel: Any, queue: str) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
    message = channel.basic_get(queue, no_ack=True)
    assert message is not None, "the queue is empty"
    where = {name: message.delivery_info[name] for name in ("exchange", "routing_key")}
    return message.body, message.properties, where


def length(channel: Any, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).message_count)


def nothing() -> None:
    """The body of a task that is never run."""


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


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


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="send_task did not look at the task's options")
def test_a_message_carries_the_options_of_its_task_as_celerys_does(
    app: Celery, channel: Any, queue: str, message: NewMessage, publisher: Publisher
) -> None:
    options = {"expires": 60, "time_limit": 9, "ignore_result": True}
    app.task(name="tests.with_options", shared=False, **options)(nothing)
    app.finalize()
    sent = message(task="tests.with_options")
    send_task(app, sent)
    publisher.publish([sent])

    celerys, ours = received(channel, queue), received(channel, queue)
    for each in (celerys, ours):  # a time of day, taken when it was made
        assert each[1]["application_headers"].pop("expires")
    assert ours == celerys
    assert ours[1]["expiration"] == "60000"
    assert ours[1]["application_headers"]["timelimit"] == [9, None]


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


def test_a_deleted_queue_is_refused_as_unroutable_then_declared_again(
    channel: Any, new_queue: NewQueue, message: NewMessage, publisher: Publisher
) -> None:
    deleted, kept = new_queue(), new_queue()
    publisher.publish([message(deleted), message(kept)])
    channel.queue_delete(deleted)

    lost, others = message(deleted), [message(kept) for _ in range(5)]
    outcome = publisher.publish([*others[:2], lost, *others[2:]])

    assert outcome.confirmed == {each.id for each in others}
    assert list(outcome.refused) == [lost.id]
    assert "unroutable" in outcome.refused[lost.id]
    assert publisher.publish([lost]).confirmed == {lost.id}
    assert length(channel, deleted) == 1


def test_a_queue_that_cannot_be_declared_is_refused_alone(
    channel: Any, new_queue: NewQueue, message: NewMessage, publisher: Publisher
) -> None:
    other, fine = new_queue(), new_queue()
    channel.queue_declare(other, durable=True, auto_delete=False, arguments={"x-max-length": 9})
    culprits = [message(other) for _ in range(3)]
    innocents = [message(fine) for _ in range(20)]

    outcome = publisher.publish([culprits[0], *innocents[:10], *culprits[1:], *innocents[10:]])

    assert outcome.confirmed == {each.id for each in innocents}
    assert set(outcome.refused) == {each.id for each in culprits}
    assert all("PRECONDITION_FAILED" in reason for reason in outcome.refused.values())
    assert outcome.outage is None
    assert length(channel, fine) == 20, "nothing was sent twice"


def test_a_message_that_closes_the_channel_is_refused_alone(
    app: Celery, channel: Any, new_queue: NewQueue, message: NewMessage, publisher: Publisher
) -> None:
    missing, fine = new_queue(), new_queue()
    exchange = Exchange(missing, type="topic", no_declare=True)
    app.amqp.queues.add(Queue(missing, exchange, routing_key="x", no_declare=True))
    culprits = [message(missing) for _ in range(2)]
    innocents = [message(fine) for _ in range(40)]

    batch = [*innocents[:30], culprits[0], *innocents[30:], culprits[1]]
    outcome = publisher.publish(batch)

    assert outcome.confirmed == {each.id for each in innocents}
    assert set(outcome.refused) == {each.id for each in culprits}
    assert all("NOT_FOUND" in reason for reason in outcome.refused.values())
    assert length(channel, fine) >= len(innocents)


def test_an_exchange_deleted_meanwhile_is_declared_again(
    app: Celery, channel: Any, queue: str, message: NewMessage, publisher: Publisher
) -> None:
    app.amqp.queues.add(Queue(queue, Exchange(queue, type="topic"), routing_key="x"))
    publisher.publish([message()])
    channel.exchange_delete(queue)

    again = [message() for _ in range(3)]

    assert publisher.publish(again).confirmed == {each.id for each in again}


def test_a_message_that_closes_the_connection_is_refused_alone(
    message: NewMessage, publisher: Publisher
) -> None:
    culprit = message(task="tests.huge")
    innocents = [message() for _ in range(10)]

    def swell(sender: str, headers: dict[str, Any], **_: object) -> None:
        if sender == culprit.task:  # headers must fit into one frame
            headers["huge"] = "x" * 200_000

    signals.before_task_publish.connect(swell)
    try:
        outcome = publisher.publish([*innocents[:5], culprit, *innocents[5:]])
    finally:
        signals.before_task_publish.disconnect(swell)

    assert outcome.confirmed == {each.id for each in innocents}
    assert list(outcome.refused) == [culprit.id]
    assert outcome.outage is None


def test_a_message_that_cannot_be_serialised_is_refused_alone(
    app: Celery, message: NewMessage, publisher: Publisher
) -> None:
    app.task(name="tests.odd", shared=False, serializer="no-such")(nothing)
    app.finalize()
    odd, plain = message(task="tests.odd"), message()

    outcome = publisher.publish([odd, plain])

    assert outcome.confirmed == {plain.id}
    assert list(outcome.refused) == [odd.id]


def test_a_message_with_an_overlong_routing_key_is_refused_alone(
    message: NewMessage, publisher: Publisher
) -> None:
    odd, plain = message("q" * 300), message()

    outcome = publisher.publish([odd, plain])

    assert (outcome.confirmed, list(outcome.refused)) == ({plain.id}, [odd.id])


def test_a_message_that_the_queue_rejects_is_refused(
    app: Celery, queue: str, message: NewMessage, publisher: Publisher
) -> None:
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    app.amqp.queues.add(Queue(queue, Exchange(""), routing_key=queue, queue_arguments=full))
    first, second = message(), message()

    outcome = publisher.publish([first, second])

    assert outcome.confirmed == {first.id}
    assert "nack" in outcome.refused[second.id]


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
    batch = [message(task="tests.note", sends=each) for each in (1, 2, 3)]
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
