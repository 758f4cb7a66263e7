"""A try that loses its database is nobody's fault, once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connections

import outbox
from outbox import store
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.models import HistoryMessage, OutboxMessage
from outbox.states import State
from tests.conftest import Declare
from tests.outbox.consumer.consuming import (
    Body,
    claim,
    effects,
    end_own_session,
    enqueue,
    row,
    sent,
)

pytestmark = pytest.mark.django_db(transaction=True)


def unmarked(task: Task[Any]) -> outbox.Message:
    """Sent, and in a worker's hands before the relay has marked it."""
    enqueue(task)
    return claim()


class Losing(Body):
    """A body that loses its database the first time, or so many times."""

    losses = 1

    def __call__(self, order_id: int) -> Any:
        super().__call__(order_id)
        if len(self.runs) <= self.losses:
            end_own_session()


@pytest.fixture
def body() -> Body:
    return Losing()


@pytest.mark.parametrize("limit", [1, 10])
@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "leased"])
@pytest.mark.parametrize(("send", "again"), [(sent, False), (sent, True), (unmarked, False)])
def test_a_try_that_loses_its_database_is_made_anew_and_spends_no_attempt(
    declare: Declare,
    body: Body,
    limit: int,
    atomic: bool,
    send: Callable[[Task[Any]], outbox.Message],
    again: bool,
) -> None:
    @declare("order.placed", max_attempts=limit, atomic=atomic, time_limit=50)
    def confirm(order_id: int) -> Any:
        return body(order_id)

    message = send(confirm)
    assert consume(confirm, message.id, again=again) == "done"
    assert [run.attempts for run in body.runs] == [1, 1]
    assert HistoryMessage.objects.get().attempts == 0
    assert effects() == (1 if atomic else 2)


@pytest.mark.parametrize("limit", [1, 10])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("atomic", [True, False], ids=["atomic", "leased"])
def test_a_body_that_loses_its_database_each_time_has_failed(
    declare: Declare, limit: int, again: bool, atomic: bool
) -> None:
    body = Losing()
    body.losses = 99

    @declare("order.placed", max_attempts=limit, atomic=atomic, time_limit=50)
    def confirm(order_id: int) -> Any:
        return body(order_id)

    message = sent(confirm)
    with pytest.raises(OperationalError, match="closed the connection"):
        consume(confirm, message.id, again=again)
    left = row(message)
    assert left.state == (State.DEAD if limit == 1 else State.READY)
    assert (left.attempts, left.lease_token, left.suspect) == (1, None, False)
    assert "closed the connection" in left.last_error
    assert len(body.runs) == 2


def test_a_body_that_hides_the_loss_of_the_connection_has_no_effect(
    declare: Declare,
) -> None:
    body = Body()

    @declare("order.placed")
    def confirm(order_id: int) -> Any:
        return body(order_id)

    def lose_and_hide() -> None:
        with pytest.raises(DatabaseError):
            end_own_session()

    body.then = lose_and_hide
    message = sent(confirm)
    with pytest.raises(InterfaceError):
        consume(confirm, message.id, again=False)
    assert (row(message).state, row(message).attempts, effects()) == (State.READY, 1, 0)


def test_what_another_has_taken_meanwhile_is_not_given_back(task: Task[Any]) -> None:
    message = sent(task)
    assert store.begin_try(message, token=None, seconds=60) == 1
    assert not store.give_back(message, counted=True), "it is not as this try had left it"
    assert row(message).attempts == 1


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
