"""`drain`, inside the transaction of a test case."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

import outbox
from outbox.declaration import Task
from outbox.models import HistoryMessage, OutboxMessage
from outbox.prepare import Preparer
from outbox.testing import drain
from tests.conftest import Declare
from tests.message_factory import MessageFactory, state_of
from tests.outbox.testing.works import Broken, Works, enqueue

pytestmark = pytest.mark.django_db


def test_an_empty_outbox_drains_to_nothing() -> None:
    assert drain() == 0


def test_a_ready_message_is_done_in_the_test_s_own_transaction(
    confirm: Task[Any], works: Works
) -> None:
    message = enqueue(confirm, order_id=1)

    assert drain() == 1
    assert works.calls == [1]
    assert state_of(message.id) == "done"
    assert drain() == 0
    assert connection.in_atomic_block


def test_messages_are_done_in_the_order_in_which_they_were_enqueued(
    confirm: Task[Any], works: Works
) -> None:
    for order_id in range(5):
        enqueue(confirm, order_id=order_id)

    assert drain() == 5
    assert works.calls == [0, 1, 2, 3, 4]


def test_a_task_with_a_prepare_function_is_prepared_first(confirm: Task[Any]) -> None:
    batches: list[list[int]] = []
    confirm.prepare(lambda batch: batches.append([m.payload["order_id"] for m in batch]))
    enqueue(confirm, order_id=1)
    enqueue(confirm, order_id=2)

    assert drain() == 2
    assert [sorted(batch) for batch in batches] == [[1, 2]]


def test_what_a_prepare_function_gives_back_is_prepared_again(confirm: Task[Any]) -> None:
    rounds: list[int] = []

    def later(batch: list[outbox.Message]) -> list[outbox.Message]:
        rounds.append(len(batch))
        return batch if len(rounds) == 1 else []

    confirm.prepare(later)
    message = enqueue(confirm, order_id=1)

    assert drain() == 1
    assert rounds == [1, 1]
    assert HistoryMessage.objects.get(pk=message.id).attempts == 0


def test_what_is_always_given_back_is_named(confirm: Task[Any], works: Works) -> None:
    confirm.prepare(lambda batch: batch)
    enqueue(confirm, order_id=1)

    with pytest.raises(RuntimeError, match=rf"{confirm.name}\(order_id=1\): pending"):
        drain()
    assert works.calls == []


def test_a_follow_up_of_a_task_is_done_too(declare: Declare) -> None:
    seen: list[int] = []

    @declare("number.counted")
    def count(number: int) -> None:
        seen.append(number)
        if number:
            count.enqueue(number=number - 1)

    enqueue(count, number=3)

    assert drain() == 4
    assert seen == [3, 2, 1, 0]


def test_follow_ups_without_end_are_ended(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outbox.testing.MOST_MESSAGES", 5)

    @declare("number.counted")
    def count(number: int) -> None:
        count.enqueue(number=number + 1)

    enqueue(count, number=0)

    with pytest.raises(RuntimeError, match=r"(?s)^5 messages .*\(number=5\): ready$"):
        drain()


def test_a_preparation_that_the_post_processor_postponed_is_done_now(confirm: Task[Any]) -> None:
    prepared = Works(failures=1)
    confirm.prepare(lambda batch: prepared(batch[0].payload["order_id"]))
    message = enqueue(confirm, order_id=1)
    OutboxMessage.objects.update(due_at=OutboxMessage.objects.get().received_at.replace(year=2020))
    Preparer(batch_size=10).step()
    assert OutboxMessage.objects.get(pk=message.id).suspect

    assert drain() == 1
    assert prepared.calls == [1, 1]


def test_a_task_without_a_transaction_is_done(declare: Declare) -> None:
    works = Works(failures=1)
    ids: list[object] = []

    @declare("order.charge", atomic=False, time_limit=10)
    def charge(order_id: int) -> None:
        ids.append(outbox.current_message().id)
        works(order_id)

    message = enqueue(charge, order_id=1)

    with pytest.raises(Broken):
        drain()
    assert drain() == 1
    assert ids == [message.id, message.id]
    assert state_of(message.id) == "done"


@pytest.mark.parametrize("row", [{"leased": True}, {"running": True}, {"due_in": 3600.0}])
def test_leases_and_due_times_are_ignored(
    confirm: Task[Any], works: Works, row: dict[str, Any]
) -> None:
    MessageFactory.create(
        event_type="order.placed", task=confirm.name, payload={"order_id": 1}, **row
    )

    assert drain() == 1
    assert works.calls == [1]


def test_a_message_without_a_task_is_refused() -> None:
    MessageFactory.create(event_type="nobody.knows")

    with pytest.raises(outbox.UnknownEventType, match=r"nobody\.knows"):
        drain()


@pytest.mark.django_db(transaction=True)
def test_it_drains_without_the_test_s_transaction_too(confirm: Task[Any], works: Works) -> None:
    confirm.prepare(lambda batch: None)
    message = enqueue(confirm, order_id=1)

    assert drain() == 1
    assert state_of(message.id) == "done"
