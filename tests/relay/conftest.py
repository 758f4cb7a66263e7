"""A Celery app on the broker of the environment, with queues that are gone afterwards."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import Celery
from kombu.utils.url import parse_url

from outbox import Message
from relay.publisher import Publisher
from tests.relay.tcp_proxy import TcpProxy

NewMessage = Callable[..., Message]
NewQueue = Callable[[], str]


def new_app(broker: str) -> Celery:
    app = Celery("relay-tests", set_as_current=False)
    app.conf.broker_write_url = broker  # Celery prefers the environment to `broker_url`
    return app


@pytest.fixture
def broker_url() -> str:
    url = os.environ.get("CELERY_BROKER_URL", "")
    if not url.startswith("amqp"):
        pytest.skip("no-amqp")
    return url


@pytest.fixture
def app(broker_url: str) -> Iterator[Celery]:
    app = new_app(broker_url)
    yield app
    app.close()


@pytest.fixture
def channel(app: Celery) -> Iterator[Any]:
    """A channel of the test's own, to see and to disturb the broker."""
    with app.connection_for_write(heartbeat=0) as connection:
        yield connection.default_channel


@pytest.fixture
def new_queue(channel: Any) -> Iterator[NewQueue]:
    """Names for queues (and exchanges of the same name), deleted at the end."""
    names: list[str] = []

    def new_queue() -> str:
        names.append(f"relay-test-{uuid.uuid4()}")
        return names[-1]

    yield new_queue
    for name in names:
        channel.queue_delete(name)
        channel.exchange_delete(name)


@pytest.fixture
def queue(new_queue: NewQueue) -> str:
    return new_queue()


@pytest.fixture
def message(request: pytest.FixtureRequest) -> NewMessage:
    def message(queue: str = "", task: str = "tests.unknown", sends: int = 1) -> Message:
        queue = queue or request.getfixturevalue("queue")
        return Message(uuid.uuid4(), "order.placed", task, queue, sends=sends)

    return message


@pytest.fixture
def publisher(app: Celery) -> Iterator[Publisher]:
    publisher = Publisher(app, deadline=10)
    yield publisher
    publisher.close()


@pytest.fixture
def proxy(broker_url: str) -> Iterator[TcpProxy]:
    broker = parse_url(broker_url)
    target = (broker["hostname"] or "127.0.0.1", broker["port"] or 5672)
    with TcpProxy(target) as proxy:
        yield proxy


@pytest.fixture
def behind_proxy(app: Celery, proxy: TcpProxy) -> Iterator[Publisher]:
    """A publisher with a deadline of one second that reaches the broker through the proxy."""
    url = app.connection_for_write().as_uri(include_password=True)
    there = urlsplit(url)
    at = f"{there.username}:{there.password}@127.0.0.1:{proxy.port}"
    other = new_app(there._replace(netloc=at).geturl())
    publisher = Publisher(other, deadline=1)
    yield publisher
    publisher.close()
    other.close()
