"""A signal to the relay while the broker takes its time to confirm a batch."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import celery
import pytest
from kombu.utils.url import parse_url

from outbox.models import OutboxMessage
from tests.message_factory import MessageFactory, seconds_from_now
from tests.relay.tcp_proxy import TcpProxy
from tests.signals.one_process import one_process, stop_twice
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(120),
    pytest.mark.amqp,
]

TASK = "app.tasks.index_post"


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    broker = parse_url(os.environ["CELERY_BROKER_URL"])
    with TcpProxy((broker["hostname"] or "127.0.0.1", broker["port"] or 5672)) as proxy:
        yield proxy


@pytest.fixture
def queues() -> Iterator[list[str]]:
    """Three queues of the test's own, in the order in which the relay serves them."""
    names = sorted(f"relay-test-{uuid.uuid4()}" for _ in range(3))
    yield names
    with celery.current_app.connection_for_write(heartbeat=0) as broker:
        for name in names:
            broker.default_channel.queue_delete(name)
            broker.default_channel.exchange_delete(name)


def through(proxy: TcpProxy) -> str:
    there = urlsplit(os.environ["CELERY_BROKER_URL"])
    login = there.netloc.rpartition("@")[0]
    return there._replace(netloc=f"{login}@127.0.0.1:{proxy.port}").geturl()


def sent(queues: list[str]) -> list[str]:
    """The ids of the messages that the broker has, and has no more."""
    found = []
    with celery.current_app.connection_for_write(heartbeat=0) as broker:
        for name in queues:
            while message := broker.default_channel.basic_get(name, no_ack=True):
                found.append(message.properties["correlation_id"])
    return found


def store_ready(queues: list[str], each: int) -> None:
    for queue in queues:
        for age in range(each):
            MessageFactory(
                event_type="post.created",
                task=TASK,
                queue=queue,
                received_at=seconds_from_now(queues.index(queue) - 60 + age / 10),
            )


def test_what_was_confirmed_is_marked_and_the_rest_given_back(
    transactional_db: None, queues: list[str], proxy: TcpProxy, tmp_path: Path
) -> None:
    store_ready(queues, 2)
    proxy.hold(TASK.encode())
    options = ("--batch-size", "2")
    with one_process("relay", tmp_path, *options, CELERY_BROKER_URL=through(proxy)) as service:
        relay = service.processes["relay"]
        eventually(lambda: proxy.holding, 30)
        assert OutboxMessage.objects.filter(lease_token__isnull=False).count() == 6
        relay.send(signal.SIGTERM)
        assert relay.poll() is None
        proxy.let_go()
        assert relay.wait(20) == 0, relay.complaint("did not end well")
    look = ("queue", "state", "attempts", "sends", "lease_token", "suspect")
    first, *others = queues
    assert sorted(OutboxMessage.objects.values_list(*look)) == sorted(
        [(first, "dispatched", 0, 1, None, False)] * 2
        + [(queue, "ready", 0, 0, None, False) for queue in others] * 2
    )
    in_first = OutboxMessage.objects.filter(queue=first)
    assert sorted(sent([first])) == sorted(str(row.pk) for row in in_first)
    assert not OutboxMessage.objects.filter(state="ready", due_at__gt=seconds_from_now(0)).exists()


@pytest.mark.slow
def test_the_second_signal_ends_it_and_another_sends_what_it_held(
    transactional_db: None, queues: list[str], proxy: TcpProxy, tmp_path: Path
) -> None:
    store_ready(queues, 2)
    proxy.hold(TASK.encode())
    environment = {"OUTBOX_LEASE_SECONDS": "8", "OUTBOX_PUBLISH_SECONDS": "4"}
    with one_process("relay", tmp_path, CELERY_BROKER_URL=through(proxy), **environment) as service:
        eventually(lambda: proxy.holding, 30)
        assert stop_twice(service.processes["relay"]) == -signal.SIGTERM
    assert OutboxMessage.objects.filter(state="ready", lease_token__isnull=False).count() == 6

    with one_process("relay", tmp_path, "--drain", **environment) as service:
        assert service.processes["relay"].wait(60) == 0
    # A claim that ended without a word counts as a try, as after any other death.
    expected = {("dispatched", 1, 2, None, False)}
    look = ("state", "attempts", "sends", "lease_token", "suspect")
    assert {*OutboxMessage.objects.values_list(*look)} == expected
    # One was on its way and may have arrived before; all have arrived now.
    arrived = sent(queues)
    assert {*arrived} == {str(pk) for pk in OutboxMessage.objects.values_list("pk", flat=True)}
    assert len(arrived) <= 7
