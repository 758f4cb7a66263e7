"""The publisher on brokers without confirms."""

from __future__ import annotations

import shutil
import socket
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from outbox import Message
from relay.publisher import Publisher
from tests.relay.conftest import new_app


def messages(count: int, task: str = "tests.unknown") -> list[Message]:
    return [
        Message(uuid.uuid4(), "order.placed", task, "plain", sends=each + 1)
        for each in range(count)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "control").mkdir()
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.fixture
def app(folder: Path) -> Celery:
    """An app on kombu's filesystem transport, which needs no server."""
    app = new_app("filesystem://")
    app.conf.broker_transport_options = {
        "data_folder_in": str(folder / "data"),
        "data_folder_out": str(folder / "data"),
        "control_folder": str(folder / "control"),
    }
    return app


def received(app: Celery) -> list[Any]:
    found = []
    with app.connection_for_write() as connection:
        queue = app.amqp.queues["plain"].bind(connection.default_channel)
        while (each := queue.get(no_ack=True)) is not None:
            found.append(each)
    return found


def test_messages_are_handed_over_as_celery_would(app: Celery) -> None:
    publisher, batch = Publisher(app, deadline=5), messages(3)

    outcome = publisher.publish(batch)
    publisher.close()

    assert (outcome.confirmed, outcome.refused) == ({each.id for each in batch}, {})
    assert outcome.outage is None
    app.send_task(
        batch[0].task,
        args=[],
        kwargs={},
        task_id=str(batch[0].id),
        queue="plain",
        headers={"outbox": 1},
    )
    found = received(app)
    assert {each.headers["id"]: each.headers["outbox"] for each in found} == {
        str(each.id): each.sends for each in batch
    }
    ours, celerys = (each for each in found if each.headers["id"] == str(batch[0].id))
    assert (ours.headers, ours.payload) == (celerys.headers, celerys.payload)


def test_a_broker_that_cannot_store_is_an_outage_until_it_can(app: Celery, folder: Path) -> None:
    publisher, batch = Publisher(app, deadline=5), messages(3)
    publisher.publish(batch[:1])
    shutil.rmtree(folder / "data")
    (folder / "data").write_text("not a folder")

    outcome = publisher.publish(batch)

    assert (outcome.confirmed, outcome.refused) == (set(), {})
    assert outcome.outage
    (folder / "data").unlink()
    (folder / "data").mkdir()
    assert publisher.publish(batch).confirmed == {each.id for each in batch}
    publisher.close()


def test_a_message_that_cannot_be_serialised_is_refused_alone(app: Celery) -> None:
    def odd() -> None: ...

    app.task(name="tests.odd", shared=False, serializer="no-such")(odd)
    publisher = Publisher(app, deadline=5)
    odd_one, plain = messages(1, task="tests.odd")[0], messages(1)[0]

    outcome = publisher.publish([odd_one, plain])
    publisher.close()

    assert (outcome.confirmed, list(outcome.refused)) == ({plain.id}, [odd_one.id])


def test_redis_that_refuses_connections_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    publisher = Publisher(new_app(f"redis://127.0.0.1:{port}/0"), deadline=2)

    outcome = publisher.publish(messages(2))

    assert outcome.confirmed == set()
    assert "refused" in (outcome.outage or "")


def test_redis_that_never_answers_is_an_outage_within_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        port = frozen.getsockname()[1]
        publisher = Publisher(new_app(f"redis://127.0.0.1:{port}/0"), deadline=1)
        start = time.monotonic()

        outcome = publisher.publish(messages(2))

        assert time.monotonic() - start < 1.5
        assert outcome.outage
