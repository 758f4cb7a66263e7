"""What the broker will not take is refused alone; its neighbours in the batch are confirmed."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery, signals
from kombu import Exchange, Queue

from relay.publisher import Publisher
from tests.relay.conftest import NewMessage, NewQueue

pytestmark = pytest.mark.amqp


def nothing() -> None:
    """The body of a task that is never run."""


def length(channel: Any, queue: str) -> int:
    return int(channel.queue_declare(queue, passive=True).message_count)


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
