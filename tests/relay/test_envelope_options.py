"""What a message carries of its task's options, sealed without a broker."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from outbox import Message
from relay.envelope import Envelope, Envelopes
from tests.conftest import Declare


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("relay-tests", broker="memory://", set_as_current=False)
    yield app
    app.close()


def sealed(app: Celery, event_type: str, task: str) -> Envelope:
    return Envelopes(app).seal(Message(uuid.uuid4(), event_type, task, "celery", sends=1))


def body(order_id: int) -> None: ...


def test_priority_and_time_limits_are_those_of_the_declaration(
    app: Celery, declare: Declare
) -> None:
    task = declare("order.placed", priority=7, time_limit=60, soft_time_limit=50)(body)
    properties: Any = sealed(app, "order.placed", task.name).content.properties
    assert properties["priority"] == 7
    assert properties["application_headers"]["timelimit"] == [60, 50]


def test_a_priority_of_zero_is_one(app: Celery, declare: Declare) -> None:
    task = declare("order.placed", priority=0)(body)
    app.conf.task_default_priority = 5
    assert sealed(app, "order.placed", task.name).content.properties["priority"] == 0


def test_a_task_that_is_not_known_here_is_sent_without(app: Celery) -> None:
    """A relay of a version before, or one that has only a prefix of the names."""
    properties: Any = sealed(app, "order.elsewhere", "elsewhere.confirm").content.properties
    assert not properties.get("priority")
    assert properties["application_headers"]["timelimit"] == [None, None]
