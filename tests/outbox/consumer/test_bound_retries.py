"""What a body may ask of Celery: a retry, with a countdown or with the task's own backoff."""

from __future__ import annotations

from typing import Any

import pytest
from celery.exceptions import Ignore, MaxRetriesExceededError, Retry

import outbox
from outbox.declaration import Task
from outbox.states import State
from tests.conftest import Declare
from tests.outbox.consumer.bound import hooks_of, work
from tests.outbox.consumer.consuming import (
    Failed,
    effects,
    fail,
    row,
    seconds_until_due,
    sent,
    wait_over,
)

pytestmark = pytest.mark.django_db


def test_a_retry_with_a_countdown_waits_so_long(bound: Task[Any], body: Any) -> None:
    body.then = lambda: body.it.retry(countdown=1234)
    message = sent(bound)
    with pytest.raises(Ignore, match="in 1234 s"):  # settled: Celery neither retries nor reports
        work(bound, message)
    assert (row(message).state, row(message).attempts) == (State.READY, 1)
    assert 1200 < seconds_until_due(message) < 1240
    if bound.atomic:
        assert effects() == 0, "what the try did is undone"
    assert hooks_of(body.it.told) == ["before_start", "on_retry", "after_return"]
    assert body.it.told[-1] == ("after_return", "RETRY")


def test_a_retry_without_a_countdown_takes_the_tasks_backoff(declare: Declare) -> None:
    asked: list[int] = []

    def backoff(attempts: int) -> float:
        asked.append(attempts)
        return 500

    @declare("order.slow", bind=True, backoff=backoff)
    def slow(self: outbox.BoundTask, order_id: int) -> None:
        self.retry(exc=Failed("not yet"))

    message = sent(slow)
    with pytest.raises(Ignore):
        work(slow, message)
    assert asked == [1]
    assert 480 < seconds_until_due(message) <= 500
    assert "not yet" in row(message).last_error


@pytest.mark.parametrize("broken", [lambda _: 1 / 0, lambda _: float("nan"), lambda _: None])
def test_a_backoff_that_fails_does_not_lose_the_failure(
    declare: Declare, broken: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @declare("order.slow", backoff=broken)
    def slow(order_id: int) -> None:
        fail()

    message = sent(slow)
    with pytest.raises(Failed):
        work(slow, message)
    assert row(message).state == State.READY
    assert "the default is taken" in caplog.text


def test_retries_count_and_the_last_one_is_the_reasons_own_failure(
    bound: Task[Any], body: Any
) -> None:
    body.then = lambda: body.it.retry(countdown=0, exc=Failed("not yet"))
    message = sent(bound)
    with pytest.raises(Ignore):
        work(bound, message)
    retries: list[int] = []

    def again() -> None:
        retries.append(body.it.request.retries)
        body.it.retry(countdown=0, exc=Failed("not yet"))

    body.then = again
    wait_over(message)
    with pytest.raises(Failed, match="not yet"):
        work(bound, message)
    assert retries == [1]
    assert (row(message).state, row(message).attempts) == (State.DEAD, 2)
    assert hooks_of(body.it.told)[-2:] == ["on_failure", "after_return"]
    assert body.it.told[-1] == ("after_return", "FAILURE")


def test_a_last_retry_without_a_reason_says_so(declare: Declare) -> None:
    @declare("order.once", bind=True, max_attempts=1)
    def once(self: outbox.BoundTask, order_id: int) -> None:
        raise self.retry(countdown=5)

    message = sent(once)
    with pytest.raises(MaxRetriesExceededError):
        work(once, message)
    assert row(message).state == State.DEAD


def test_a_retry_in_an_except_block_keeps_the_reason(bound: Task[Any], body: Any) -> None:
    def catch() -> None:
        try:
            fail()
        except Failed:
            body.it.retry(countdown=5)

    body.then = catch
    message = sent(bound)
    with pytest.raises(Ignore):
        work(bound, message)
    assert "out of paper" in row(message).last_error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"args": [1]}, "payload"),
        ({"kwargs": {}}, "payload"),
        ({"max_retries": 3}, "max_attempts"),
        ({"eta": 1}, "countdown"),
        ({"throw": False}, "throw"),
        ({"countdown": -1}, "countdown"),
        ({"countdown": "5"}, "countdown"),
        ({"countdown": float("inf")}, "countdown"),
        ({"countdown": 10**9}, "countdown"),
    ],
    ids=str,
)
def test_what_celerys_retry_takes_besides_is_refused(
    bound: Task[Any], body: Any, arguments: dict[str, Any], says: str
) -> None:
    body.then = lambda: body.it.retry(**arguments)
    message = sent(bound)
    with pytest.raises(TypeError, match=says):
        work(bound, message)
    assert row(message).state == State.READY, "a mistake is a failure like any other"


def test_celerys_own_retry_means_the_same(bound: Task[Any], body: Any) -> None:
    def ask() -> None:
        raise Retry(when=1234)

    body.then = ask
    message = sent(bound)
    with pytest.raises(Ignore):
        work(bound, message)
    assert 1200 < seconds_until_due(message) < 1240
