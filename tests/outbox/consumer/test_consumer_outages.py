"""A try that loses its database is nobody's fault, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, OperationalError

import outbox
from outbox import outage, store
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.models import HistoryMessage
from outbox.registry import AllowedTasks
from outbox.states import State
from tests.conftest import Declare
from tests.outbox.consumer.consuming import (
    Body,
    Raw,
    claim,
    effects,
    end_own_session,
    enqueue,
    row,
    seconds_until_due,
    sent,
    wait_over,
)

pytestmark = pytest.mark.django_db(transaction=True)


HOLD = "SELECT FROM outbox_message WHERE id = %s FOR UPDATE"


def unmarked(task: Task[Any]) -> outbox.Message:
    """Sent, and in a worker's hands before the relay has marked it."""
    enqueue(task)
    return claim()


class Losing(Body):
    """A body that loses its database so many times."""

    losses = 1

    def __call__(self, order_id: int) -> Any:
        super().__call__(order_id)
        if len(self.runs) <= self.losses:
            end_own_session()


@pytest.fixture
def body() -> Losing:
    return Losing()


@pytest.fixture(params=[True, False], ids=["atomic", "leased"])
def losing(request: pytest.FixtureRequest, declare: Declare, body: Losing) -> Task[Any]:
    @declare("order.placed", max_attempts=1, atomic=request.param, time_limit=50)
    def confirm(order_id: int) -> Any:
        return body(order_id)

    return confirm


@pytest.mark.parametrize(("send", "again"), [(sent, False), (sent, True), (unmarked, False)])
def test_a_try_that_loses_its_database_is_given_back_unspent(
    losing: Task[Any], send: Callable[[Task[Any]], outbox.Message], again: bool
) -> None:
    message = send(losing)
    with pytest.raises(OperationalError, match="closed the connection"):
        consume(losing, message.id, again=again)
    left = row(message)
    assert (left.state, left.attempts, left.lease_token, left.suspect) == ("ready", 0, None, False)
    assert left.last_error.startswith("lost its database: ")
    assert -1 < seconds_until_due(message) < 10, "and not as late as one that is never heard of"

    wait_over(message)
    assert consume(losing, message.id, again=True) == "done"
    assert HistoryMessage.objects.get().attempts == 0


@pytest.mark.parametrize("again", [False, True])
def test_a_message_that_loses_its_database_again_has_failed(
    losing: Task[Any], body: Losing, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    body.losses = 2
    long = ["x" * 10_000]  # a chain of causes makes one of any length
    monkeypatch.setattr("outbox.consumer.traceback.format_exception", lambda _: long)
    message = sent(losing)
    for state, attempts in [(State.READY, 0), (State.DEAD, 1)]:
        with pytest.raises(OperationalError, match="closed the connection"):
            consume(losing, message.id, again=again or bool(body.runs))
        left = row(message)
        assert (left.state, left.attempts) == (state, attempts)
        assert (left.lease_token, left.suspect) == (None, False)
        wait_over(message)


def test_a_try_is_given_back_though_its_session_still_holds_the_row(
    losing: Task[Any], body: Losing, connect: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the client has seen a reset, and the server has not."""
    message = sent(losing)
    holder = connect()
    holder.autocommit = False
    paused = []

    def let_go(seconds: float) -> None:
        paused.append(seconds)
        holder.rollback()

    monkeypatch.setattr(outage, "sleep", let_go)

    def lose_and_hold(order_id: int) -> None:
        try:
            end_own_session()
        finally:
            holder.cursor().execute(HOLD, [str(message.id)])

    monkeypatch.setattr(losing, "body", lose_and_hold)
    with pytest.raises(OperationalError):
        consume(losing, message.id, again=False)
    assert paused
    assert (row(message).state, row(message).attempts) == (State.READY, 0)


def test_what_is_given_back_is_not_given_back_twice(losing: Task[Any]) -> None:
    message = sent(losing)
    before = replace(message, lease_token=None, attempts=0)
    policy: dict[str, Any] = {"counted": False, "delay": 60, "limit": 1}
    assert store.give_back(before, "lost", **policy) == State.READY
    assert store.give_back(before, "lost", **policy) is None, "its answer was lost, say"
    assert row(message).attempts == 0


def test_a_lost_connection_to_something_else_is_a_failure_like_any_other(declare: Declare) -> None:
    @declare("order.placed", max_attempts=1, atomic=False, time_limit=50)
    def charge(order_id: int) -> None:
        raise OperationalError("another server is away")

    message = sent(charge)
    with pytest.raises(OperationalError, match="another server"):
        consume(charge, message.id, again=False)
    assert (row(message).state, row(message).attempts) == (State.DEAD, 1)
    assert "another server is away" in row(message).last_error


def test_a_receipt_that_meets_a_lost_connection_is_written_on_the_next(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = Body()

    @declare("order.placed", max_attempts=1, atomic=False, time_limit=50)
    def charge(order_id: int) -> Any:
        return body(order_id)

    real, tries = store.complete, []

    def complete(*arguments: Any, **options: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            end_own_session()
        real(*arguments, **options)

    monkeypatch.setattr(store, "complete", complete)
    message = sent(charge)
    assert consume(charge, message.id, again=False) == "done"
    assert (len(body.runs), len(tries)) == (1, 2), "what it did in the world is not done again"


def test_a_body_that_hides_the_loss_of_the_connection_has_no_effect(declare: Declare) -> None:
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
    assert (row(message).state, row(message).attempts, effects()) == (State.READY, 0, 0)


@pytest.mark.parametrize("ended", ["failed", "taken"])
def test_what_has_ended_or_is_another_s_is_not_given_back(task: Task[Any], ended: str) -> None:
    message = sent(task)
    left = replace(message, attempts=store.begin_try(message, token=None, seconds=60))
    left = replace(left, lease_token=None)
    if ended == "failed":
        store.fail_try(left, "no", counted=True, token=None, delay=60, limit=9)
    else:
        wait_over(message)
        store.claim_unsent_suspect([task.queue], AllowedTasks((task.name,), ()))
    assert not store.is_as_left(left, counted=True)
    assert not store.give_back(left, "lost", counted=True, delay=0, limit=9)


def test_while_the_database_is_away_a_message_is_waited_with_and_for_so_long_only(
    task: Task[Any], body: Losing, monkeypatch: pytest.MonkeyPatch
) -> None:
    body.losses = 0
    message = sent(task)
    away = 3

    def use() -> None:
        nonlocal away
        away -= 1
        if away >= 0:
            raise OperationalError("could not connect")

    monkeypatch.setattr(outage, "_use", use)
    monkeypatch.setattr(outage, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(outage, "TRUSTED_SECONDS", 0.0)
    assert consume(task, message.id, again=False) == "done"
    assert away == -1

    message = sent(task)
    away = 9_999_999
    monkeypatch.setattr(outage, "PATIENCE_SECONDS", 0.1)
    with pytest.raises(OperationalError, match="could not connect"):
        consume(task, message.id, again=False)


def test_a_worker_that_is_told_to_stop_waits_no_longer(
    task: Task[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celery.worker.state.should_stop", 0)

    def use() -> None:
        raise OperationalError("could not connect")

    monkeypatch.setattr(outage, "_use", use)
    with pytest.raises(OperationalError):
        consume(task, sent(task).id, again=False)
