"""A message is its task's arguments as JSON."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import celery
import pytest
from django.db import transaction

import outbox
from outbox import registry
from outbox.declaration import Task
from outbox.models import OutboxMessage
from tests.conftest import Declare
from tests.outbox.declaration.declared import stored


@pytest.mark.django_db
def test_enqueue_stores_a_message_with_its_arguments_by_name(confirm: Task[Any]) -> None:
    with transaction.atomic():
        message = confirm.enqueue(7, "now", gift=True)

    row = stored(message)
    assert row.payload == {"order_id": 7, "note": "now", "gift": True} == message.payload
    assert (row.event_type, row.task, row.queue) == ("order.placed", confirm.name, "mail")
    assert (row.attempts, row.sends, row.lease_token, row.suspect) == (0, 0, None, False)
    assert (row.received_at, row.due_at) <= (row.ready_at, row.ready_at)


@pytest.mark.django_db
def test_a_task_without_a_queue_gets_the_one_that_the_project_s_workers_listen_to(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = declare("order.packed")(lambda order_id: None)
    monkeypatch.setitem(celery.current_app.conf, "task_default_queue", "shop")

    with transaction.atomic():
        assert stored(task.enqueue(order_id=7)).queue == "shop"
    assert registry.queues() >= {"shop"}


@pytest.mark.django_db
def test_defaults_are_left_to_the_body_that_runs(confirm: Task[Any]) -> None:
    """A default changed by a newer version holds for the messages that are stored already."""
    with transaction.atomic():
        assert stored(confirm.enqueue(order_id=7)).payload == {"order_id": 7}


@pytest.mark.django_db
def test_a_keyword_named_like_the_collecting_parameter_arrives(confirm: Task[Any]) -> None:
    with transaction.atomic():
        message = confirm.enqueue(7, more=1, event_type="x", self=2)
    assert stored(message).payload == {"order_id": 7, "more": 1, "event_type": "x", "self": 2}


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [((), {}), ((1, "", 3), {}), ((1,), {"order_id": 1})],
    ids=["missing", "too many", "twice"],
)
@pytest.mark.django_db
def test_wrong_arguments_are_a_type_error(
    confirm: Task[Any], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    with transaction.atomic(), pytest.raises(TypeError):
        confirm.enqueue(*arguments, **keywords)
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize(
    "value",
    [
        uuid.UUID(int=1),
        dt.date(2026, 1, 1),
        {1, 2},
        b"bytes",
        float("nan"),
        float("-inf"),
        {("a", "b"): 1},
        {"deep": [float("nan")]},
        "a \x00 in it",
        {"key \x00": 1},
        "half a character \ud83d",
    ],
    ids=repr,
)
@pytest.mark.django_db
def test_what_json_or_postgresql_cannot_hold_is_refused_by_name(
    confirm: Task[Any], value: object
) -> None:
    with transaction.atomic():
        with pytest.raises(outbox.InvalidPayload, match="confirm"):
            confirm.enqueue(7, gift=value)
        assert not OutboxMessage.objects.exists(), "and the transaction is not broken by it"


@pytest.mark.parametrize(
    "text", ["\\u0000", "\\\\u0000", "\\", "ü€😀", "'; --", "%s %(id)s", '"', "\x1f", "\u2028"]
)
@pytest.mark.django_db
def test_any_other_text_comes_back_as_it_was(confirm: Task[Any], text: str) -> None:
    with transaction.atomic():
        message = confirm.enqueue(7, text, **{text: [text]})
    assert stored(message).payload == {"order_id": 7, "note": text, text: [text]}


@pytest.mark.django_db
def test_what_json_changes_is_changed_in_the_message_at_once(confirm: Task[Any]) -> None:
    """The sender sees what the task will see."""
    with transaction.atomic():
        message = confirm.enqueue(7, pair=(1, 2), counts={1: "one"})
    assert message.payload["pair"] == [1, 2]
    assert stored(message).payload == message.payload


@pytest.mark.django_db
def test_a_task_of_several_event_types_must_be_told_which(declare: Declare) -> None:
    @declare("post.made", "post.changed")
    def index(post_id: int) -> None: ...

    with transaction.atomic():
        with pytest.raises(TypeError, match=r"outbox\.add"):
            index.enqueue(post_id=1)
        message = outbox.add("post.changed", post_id=1)
    row = stored(message)
    assert (row.event_type, row.task, row.payload) == ("post.changed", index.name, {"post_id": 1})


# outbox.add


@pytest.mark.django_db
def test_add_takes_an_event_type_and_a_payload(confirm: Task[Any]) -> None:
    with transaction.atomic():
        message = outbox.add("order.placed", order_id=7, event_type="a key like any other")
    assert stored(message).payload == {"order_id": 7, "event_type": "a key like any other"}


@pytest.mark.parametrize("payload", [{}, {"order_id": 1, "gift": object()}])
@pytest.mark.django_db
def test_add_refuses_a_payload_that_the_task_would_not_take(
    confirm: Task[Any], payload: dict[str, Any]
) -> None:
    with transaction.atomic(), pytest.raises(outbox.InvalidPayload, match="confirm"):
        outbox.add("order.placed", **payload)


def test_add_refuses_an_unknown_event_type_and_names_the_known(confirm: Task[Any]) -> None:
    with pytest.raises(outbox.UnknownEventType, match=r"order\.lost.*order\.placed"):
        outbox.add("order.lost", order_id=1)
