"""The helpers for a project's own tests, inside the transaction of a test case."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction

import outbox
from app.models import Tag
from outbox.declaration import Task
from outbox.models import HistoryMessage, OutboxMessage
from outbox.prepare import Preparer
from outbox.states import State
from outbox.testing import assert_enqueued, drain
from tests.conftest import Declare
from tests.message_factory import MessageFactory, state_of

pytestmark = pytest.mark.django_db


class Broken(Exception):
    pass


class Works:
    """A body that fails so often, and then works."""

    def __init__(self, failures: int = 0, error: type[Exception] = Broken) -> None:
        self.calls: list[int] = []
        self.failures = failures
        self.error = error

    def __call__(self, order_id: int) -> None:
        self.calls.append(order_id)
        Tag.objects.create(name=f"{order_id}/{len(self.calls)}")
        if len(self.calls) <= self.failures:
            raise self.error("broken")


@pytest.fixture
def works() -> Works:
    return Works()


@pytest.fixture
def confirm(declare: Declare, works: Works) -> Task[Any]:
    @declare("order.placed", max_attempts=3)
    def confirm(order_id: int, note: str = "") -> None:
        works(order_id)

    return confirm


def enqueue(task: Task[Any], **payload: Any) -> outbox.Message:
    with transaction.atomic():
        return task.enqueue(**payload)


def tags() -> list[str]:
    return list(Tag.objects.values_list("name", flat=True))


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


def test_a_failing_task_s_exception_is_raised_and_its_effect_undone(
    confirm: Task[Any], works: Works
) -> None:
    works.failures = 1
    message = enqueue(confirm, order_id=1)

    with pytest.raises(Broken, match=r"^broken$"):
        drain()
    row = OutboxMessage.objects.get(pk=message.id)
    assert (row.state, row.attempts, row.last_error.splitlines()[-1]) == (
        State.READY,
        1,
        f"{__name__}.Broken: broken",
    )
    assert tags() == []


def test_a_retry_that_is_due_later_is_done_now(confirm: Task[Any], works: Works) -> None:
    works.failures = 2
    message = enqueue(confirm, order_id=1)
    for _ in range(2):
        with pytest.raises(Broken):
            drain()

    assert drain() == 1
    assert tags() == ["1/3"]
    assert HistoryMessage.objects.get(pk=message.id).attempts == 2


@pytest.mark.parametrize("error", [Broken, outbox.Permanent])
def test_a_message_that_is_given_up_stays_dead(
    confirm: Task[Any], works: Works, error: type[Exception]
) -> None:
    works.failures, works.error = 10, error
    message = enqueue(confirm, order_id=1)
    tries = 1 if error is outbox.Permanent else 3
    for _ in range(tries):
        with pytest.raises(error):
            drain()

    assert drain() == 0
    assert state_of(message.id) == State.DEAD


def test_a_failing_prepare_function_s_exception_is_raised(confirm: Task[Any], works: Works) -> None:
    prepared = Works(failures=1)
    confirm.prepare(lambda batch: prepared(batch[0].payload["order_id"]))
    message = enqueue(confirm, order_id=1)

    with pytest.raises(Broken, match=r"^broken$"):
        drain()
    assert (state_of(message.id), tags(), works.calls) == (State.PENDING, [], [])

    assert drain() == 1
    assert tags() == ["1/1", "1/2"]


def test_the_neighbours_of_a_message_that_cannot_be_prepared_are_done_by_the_next_drain(
    declare: Declare, works: Works
) -> None:
    @declare("order.placed", max_attempts=1)
    def confirm(order_id: int) -> None:
        works(order_id)

    def fill(batch: list[outbox.Message]) -> None:
        if any(message.payload["order_id"] == 2 for message in batch):
            raise outbox.Permanent("no such order")

    confirm.prepare(fill)
    messages = [enqueue(confirm, order_id=order_id) for order_id in range(5)]

    with pytest.raises(outbox.Permanent, match="no such order"):
        drain()
    assert drain() == 4
    assert sorted(works.calls) == [0, 1, 3, 4]
    assert state_of(messages[2].id) == State.DEAD


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


def test_an_enqueued_message_is_found_by_some_of_its_arguments(confirm: Task[Any]) -> None:
    enqueue(confirm, order_id=1, note="first")
    second = enqueue(confirm, order_id=2, note="second")

    assert assert_enqueued(confirm, order_id=2) == assert_enqueued(confirm, note="second")
    found = assert_enqueued(confirm, order_id=2)
    assert (found.id, found.task) == (second.id, confirm.name)
    assert found.payload == {"order_id": 2, "note": "second"}
    assert assert_enqueued(confirm).payload["order_id"] == 1


def test_the_failure_lists_what_is_enqueued_instead(confirm: Task[Any], declare: Declare) -> None:
    @declare("order.paid", name="shop.thank")
    def thank(order_id: int) -> None: ...

    enqueue(confirm, order_id=1)
    MessageFactory.create(task=confirm.name, payload={"order_id": 2}, state=State.DEAD)
    enqueue(thank, order_id=2)

    with pytest.raises(AssertionError) as failure:
        assert_enqueued(confirm, order_id=2)
    assert str(failure.value).splitlines() == [
        f"{confirm.name}(order_id=2) is not enqueued. In the outbox:",
        f"  {confirm.name}(order_id=2): dead",
        f"  {confirm.name}(order_id=1): ready",
        "  shop.thank(order_id=2): ready",
    ]


def test_a_message_that_is_done_is_enqueued_no_more(confirm: Task[Any]) -> None:
    enqueue(confirm, order_id=1)
    drain()

    with pytest.raises(AssertionError, match=r"\(order_id=1\) is not enqueued.*: nothing$"):
        assert_enqueued(confirm, order_id=1)
