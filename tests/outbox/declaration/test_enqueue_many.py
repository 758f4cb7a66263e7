"""Many messages of one task: all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

import outbox
from outbox import entry
from outbox.declaration import Task
from outbox.models import OutboxMessage
from outbox.states import State
from tests.conftest import Declare

pytestmark = pytest.mark.django_db


def test_each_item_becomes_a_message_in_their_order(confirm: Task[Any]) -> None:
    with transaction.atomic():
        messages = confirm.enqueue_many([{"order_id": n, "gift": True} for n in range(3)])
    rows = {row.pk: row for row in OutboxMessage.objects.all()}
    assert [message.payload for message in messages] == [
        {"order_id": n, "gift": True} for n in range(3)
    ]
    assert [rows[message.id].payload for message in messages] == [m.payload for m in messages]
    assert {(row.event_type, row.task, row.queue, row.state) for row in rows.values()} == {
        ("order.placed", confirm.name, "mail", State.READY)
    }
    assert all(row.ready_at is not None for row in rows.values())


def test_one_insert_takes_a_chunk(confirm: Task[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "CHUNK", 4)
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        assert len(confirm.enqueue_many({"order_id": n} for n in range(10))) == 10
    inserts = [query for query in captured if "INSERT" in query["sql"]]
    assert len(inserts) == 3
    assert OutboxMessage.objects.count() == 10


def test_no_more_is_read_of_the_items_than_a_chunk(
    confirm: Task[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry, "CHUNK", 4)
    stored: list[int] = []

    def items() -> Iterator[dict[str, int]]:
        for n in range(9):
            if n % 4 == 0:
                stored.append(OutboxMessage.objects.count())
            yield {"order_id": n}

    with transaction.atomic():
        confirm.enqueue_many(items())
    assert stored == [0, 4, 8]


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"order_id": object()}, outbox.InvalidPayload, "item 5: .*confirm"),
        ({"order_id": "\x00"}, outbox.InvalidPayload, "item 5: .*NUL"),
        ({}, TypeError, "item 5: .*order_id"),
        (3, TypeError, "item 5"),
    ],
)
def test_a_wrong_item_is_named_by_its_index_and_nothing_is_stored(
    confirm: Task[Any],
    monkeypatch: pytest.MonkeyPatch,
    wrong: Any,
    error: type[Exception],
    says: str,
) -> None:
    monkeypatch.setattr(entry, "CHUNK", 2)
    items = [{"order_id": n} for n in range(5)] + [wrong]
    with transaction.atomic():
        with pytest.raises(error, match=says):
            confirm.enqueue_many(items)
        assert not OutboxMessage.objects.exists()
        confirm.enqueue(order_id=1)  # and the transaction is not broken by it
    assert OutboxMessage.objects.count() == 1


def test_nothing_is_stored_for_no_items(confirm: Task[Any]) -> None:
    with transaction.atomic():
        assert confirm.enqueue_many([]) == []


def test_a_task_of_several_event_types_must_be_told_which(declare: Declare) -> None:
    @declare("post.made", "post.changed")
    def index(post_id: int) -> None: ...

    with transaction.atomic(), pytest.raises(TypeError, match=r"outbox\.add"):
        index.enqueue_many([{"post_id": 1}])


def test_outside_a_transaction_it_is_refused(confirm: Task[Any]) -> None:
    with pytest.raises(outbox.NotInTransaction):
        confirm.enqueue_many([{"order_id": 1}])


def test_messages_that_are_owed_preparation_start_as_pending(confirm: Task[Any]) -> None:
    @confirm.prepare
    def fill(messages: list[outbox.Message]) -> None: ...

    with transaction.atomic():
        confirm.enqueue_many([{"order_id": 1}])
    assert OutboxMessage.objects.get().state == State.PENDING


@pytest.mark.django_db(transaction=True)
def test_the_commit_wakes_the_relay(
    confirm: Task[Any], listen: Callable[[str], Any], heard: Callable[[Any, float], bool]
) -> None:
    relay = listen("outbox_ready")
    with transaction.atomic():
        confirm.enqueue_many([{"order_id": n} for n in range(3)])
    assert heard(relay, 5)
