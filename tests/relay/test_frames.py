"""Copied frames are those that Celery's own way would have made, or there are none."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, signals
from kombu import Exchange, Queue

from outbox import Message
from relay import frames
from relay.envelope import Envelope, Envelopes
from relay.frames import Copier, frames_of
from tests.conftest import Declare

Setting = Callable[[Celery], object]


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("relay-tests", broker="memory://", set_as_current=False)
    yield app
    app.close()


def message(event_type: str = "order.placed", task: str = "tests.odd", sends: int = 1) -> Message:
    return Message(uuid.uuid4(), event_type, task, "orders", sends=sends)


def body() -> None: ...


def seal(app: Celery, messages: list[Message]) -> list[Envelope]:
    copier = Copier(app, Envelopes(app).seal)
    return [copier.seal(each) for each in messages]


def exchange(app: Celery) -> None:
    topic = Exchange("orders", type="topic")
    app.amqp.queues.add(Queue("orders", topic, routing_key="orders.new", max_priority=9))


SETTINGS: dict[str, Setting] = {
    "nothing": lambda app: None,
    "a topic exchange": exchange,
    "a quorum queue": lambda app: app.amqp.queues.add(
        Queue("orders", Exchange(""), queue_arguments={"x-queue-type": "quorum"})
    ),
    "compression": lambda app: app.conf.update(task_compression="gzip"),
    "transient messages": lambda app: app.conf.update(task_default_delivery_mode=1),
    "the first protocol": lambda app: app.conf.update(task_protocol=1),
    "pickle": lambda app: app.conf.update(task_serializer="pickle"),
    "routes by name": lambda app: app.conf.update(task_routes={"tests.*": {"priority": 3}}),
    "time limits": lambda app: app.task(
        name="tests.odd", shared=False, time_limit=9, soft_time_limit=8, ignore_result=True
    )(body),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("sends", [1, 200])
def test_copied_frames_are_those_of_celery_byte_for_byte(
    app: Celery, name: str, sends: int
) -> None:
    SETTINGS[name](app)
    messages = [message(sends=sends) for _ in range(6)]
    sealed = seal(app, messages)
    assert [each.frames is None for each in sealed] == [True] * 2 + [False] * 4
    for envelope, each in zip(sealed, messages, strict=True):
        by_celery = Envelopes(app).seal(each)
        assert (envelope.frames or frames_of(envelope)) == frames_of(by_celery)
        assert (envelope.id, envelope.key) == (each.id, by_celery.key) == (each.id, str(each.id))
        assert envelope.declare == by_celery.declare
        assert envelope.routing_key == by_celery.routing_key


def test_each_kind_of_a_batch_has_frames_of_its_own(app: Celery, declare: Declare) -> None:
    tasks = [
        declare(f"order.{n}", name=f"tests.{n}", priority=n, time_limit=60 + n)(body)
        for n in range(3)
    ]
    kinds = [("order.odd", "tests.odd", 1), ("order.odd", "tests.odd", 2)]
    kinds += [(f"order.{n}", task.name, 1) for n, task in enumerate(tasks)]
    messages = [message(*kind) for _ in range(4) for kind in kinds]
    sealed = seal(app, messages)
    assert sum(each.frames is None for each in sealed) == 2 * len(kinds)
    for envelope, each in zip(sealed, messages, strict=True):
        by_celery = frames_of(Envelopes(app).seal(each))
        assert (envelope.frames or frames_of(envelope)) == by_celery


def copied(app: Celery) -> bool:
    return any(each.frames is not None for each in seal(app, [message() for _ in range(5)]))


@pytest.mark.parametrize("signal", ["before_task_publish", "after_task_publish", "task_sent"])
def test_with_a_receiver_of_celerys_signals_each_message_goes_its_way(
    app: Celery, signal: str
) -> None:
    seen: list[Any] = []

    def receive(**given: Any) -> None:
        seen.append(given)

    getattr(signals, signal).connect(receive)
    try:
        assert not copied(app)
    finally:
        getattr(signals, signal).disconnect(receive)
    assert copied(app)
    assert len(seen) == 5


def test_with_a_router_of_the_projects_own_each_message_goes_its_way(app: Celery) -> None:
    app.conf.task_routes = [lambda name, args, kwargs, options, task=None, **_: None]
    assert not copied(app)


def test_a_time_in_the_message_is_its_own(app: Celery) -> None:
    app.task(name="tests.odd", shared=False, expires=60)(body)
    assert not copied(app)


def test_what_is_more_than_every_broker_takes_in_a_frame_is_not_copied(app: Celery) -> None:
    for length, fits in ((2_000, True), (5_000, False)):
        sealed = seal(app, [message(task="t" * length) for _ in range(3)])
        assert (sealed[2].frames is not None) is fits


def test_what_amqp_cannot_say_is_not_copied(app: Celery) -> None:
    odd = [Message(uuid.uuid4(), "order.placed", "tests.odd", "q" * 300) for _ in range(3)]
    assert all(each.frames is None for each in seal(app, odd))


def test_it_can_be_turned_off(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "TEMPLATES", False)
    assert not copied(app)


@pytest.mark.parametrize("library", ["celery", "kombu", "amqp"])
def test_a_version_that_nobody_has_tried_goes_celerys_way(
    app: Celery, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getattr(frames, library), "VERSION", (99, 0, 0))
    assert not copied(app)


def test_messages_that_differ_in_more_than_their_ids_are_not_copied(app: Celery) -> None:
    sealing = Envelopes(app)
    number = iter(range(100))

    def odd(each: Message) -> Envelope:
        envelope = sealing.seal(each)
        envelope.content.properties["application_headers"]["number"] = next(number)
        return envelope

    copier = Copier(app, odd)
    assert all(copier.seal(message()).frames is None for _ in range(5))
