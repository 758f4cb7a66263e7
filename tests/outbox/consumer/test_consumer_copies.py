"""Copies of one message that come at once: one is run, and no try is spent on the others."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

import outbox
from outbox import store
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.models import HistoryMessage, OutboxMessage
from tests.conftest import Declare
from tests.outbox.consumer.consuming import Body, effects, sent

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_late_first_copy_takes_over_the_count_of_one_that_was_begun(
    task: Task[Any], body: Body
) -> None:
    message = sent(task)
    assert store.begin_try(message, token=None, seconds=60) == 1
    assert consume(task, message.id, again=False) == "done"
    assert HistoryMessage.objects.get().attempts == 0


@pytest.mark.parametrize("copies", [2, 3])
def test_of_copies_that_come_at_once_one_is_run_and_no_try_is_spent(
    declare: Declare, copies: int
) -> None:
    ran = Body()

    @declare("order.placed", max_attempts=1)
    def confirm(order_id: int) -> Any:
        return ran(order_id)

    go = threading.Barrier(copies, timeout=20)
    rounds = 3

    def one_copy(message: outbox.Message) -> str:
        try:
            go.wait()
            return consume(confirm, message.id, again=True)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(copies) as pool:
        for _ in range(rounds):
            message = sent(confirm)
            words = [pool.submit(one_copy, message) for _ in range(copies)]
            assert "done" in [word.result(timeout=30) for word in words]
    assert not OutboxMessage.objects.exists()
    assert {*HistoryMessage.objects.values_list("attempts", flat=True)} == {0}
    assert effects() == rounds
