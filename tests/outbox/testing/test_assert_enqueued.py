"""`assert_enqueued`, inside the transaction of a test case."""

from __future__ import annotations

from typing import Any

import pytest

from outbox.declaration import Task
from outbox.states import State
from outbox.testing import assert_enqueued, drain
from tests.conftest import Declare
from tests.message_factory import MessageFactory
from tests.outbox.testing.works import enqueue

pytestmark = pytest.mark.django_db


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
