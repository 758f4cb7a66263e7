"""What `drain` does about what cannot be done."""

from __future__ import annotations

from typing import Any

import pytest

import outbox
from outbox.declaration import Task
from outbox.models import HistoryMessage, OutboxMessage
from outbox.states import State
from outbox.testing import drain
from tests.conftest import Declare
from tests.message_factory import state_of
from tests.outbox.testing.works import Broken, Works, enqueue, tags

pytestmark = pytest.mark.django_db


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
        f"{Broken.__module__}.Broken: broken",
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
