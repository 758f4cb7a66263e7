"""What a body may ask of Celery: `self`, a retry, Reject, Ignore, and the hooks of a base class."""

from __future__ import annotations

from typing import Any

import celery
import pytest
from celery.exceptions import Ignore, MaxRetriesExceededError, Reject, Retry

import outbox
from outbox.declaration import Task
from outbox.models import HistoryMessage
from outbox.states import DONE, State
from tests.conftest import Declare
from tests.message_factory import state_of
from tests.outbox.consumer.consuming import (
    Body,
    Failed,
    effects,
    fail,
    row,
    seconds_until_due,
    sent,
    wait_over,
)
from tests.outbox.consumer.test_consumer_in_celery import run_as_a_worker

pytestmark = pytest.mark.django_db


def work(task: Task[Any], message: outbox.Message) -> Any:
    return run_as_a_worker(task, id=str(message.id), headers={"outbox": 1}, delivery_info={})


class Noted(celery.Task):  # type: ignore[type-arg]
    """A base class as users write it, that notes what it is told."""

    setting = "of the class"

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        self.told.append(("before_start", task_id, args, kwargs))

    def on_success(self, retval: Any, task_id: str, args: Any, kwargs: Any) -> None:
        self.told.append(("on_success", retval, state_of(outbox.current_message().id)))

    def on_failure(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self.told.append(("on_failure", repr(exc), type(exc).__name__ in einfo.traceback))

    def on_retry(self, exc: Any, task_id: str, args: Any, kwargs: Any, einfo: Any) -> None:
        self.told.append(("on_retry", repr(exc), type(exc).__name__ in einfo.traceback))

    def after_return(self, status: str, *rest: Any) -> None:
        self.told.append(("after_return", status))


def hooks_of(told: list[tuple[Any, ...]]) -> list[str]:
    return [hook for hook, *_ in told]


@pytest.fixture(params=[True, False], ids=["atomic", "leased"])
def bound(declare: Declare, body: Body, request: pytest.FixtureRequest) -> Task[Any]:
    """A bound task that keeps its `self` in the body's `it`."""

    @declare(
        "order.bound", bind=True, base=Noted, max_attempts=2, atomic=request.param, time_limit=50
    )
    def bound(self: Any, order_id: int) -> Any:
        body.it = self  # type: ignore[attr-defined]
        return body(order_id)

    return bound


def test_a_bound_body_gets_its_task_message_and_request(bound: Task[Any], body: Any) -> None:
    seen: list[Any] = []

    def look() -> str:
        it = body.it
        seen.append((it.name, it.request.id, it.request.retries, it.message.id, it.setting))
        seen.append(it.max_retries)
        return "a value"

    body.then = look
    message = sent(bound)
    assert work(bound, message) == "done"
    assert seen == [(bound.name, str(message.id), 0, message.id, "of the class"), 1]
    assert isinstance(body.it, outbox.BoundTask)
    assert isinstance(body.it, Noted)


def test_outside_a_worker_it_has_a_request_too(bound: Task[Any], body: Any) -> None:
    """As `outbox.testing.drain` runs it."""
    from outbox.consumer import consume

    seen: list[Any] = []
    body.then = lambda: seen.append((body.it.request.id, body.it.request.retries))
    message = sent(bound)
    assert consume(bound, message.id, again=False) == "done"
    assert seen == [(str(message.id), 0)]
    assert body.it.request.id is None, "taken off again"


def test_calling_a_bound_task_runs_its_body(bound: Task[Any], body: Any) -> None:
    body.runs = []
    bound.body = lambda self, order_id: (self.name, order_id)
    assert bound(7) == bound(order_id=7) == (bound.name, 7)


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


def test_reject_buries_the_message_and_reject_with_requeue_tries_again(
    bound: Task[Any], body: Any
) -> None:
    rejections = [Reject("broken", requeue=False), Reject("busy", requeue=True)]
    for rejection, state in zip(rejections, (State.DEAD, State.READY), strict=True):

        def reject(rejection: Reject = rejection) -> None:
            raise rejection

        body.then = reject
        message = sent(bound)
        with pytest.raises(RuntimeError, match="reject"):
            work(bound, message)
        assert (row(message).state, row(message).attempts) == (state, 1)
        assert "reject" in row(message).last_error or "Reject" in row(message).last_error


def test_ignore_ends_the_message_and_keeps_what_the_body_did(bound: Task[Any], body: Any) -> None:
    def enough() -> None:
        raise Ignore("nothing to do")

    body.then = enough
    message = sent(bound)
    assert work(bound, message) == "done"
    assert state_of(message.id) == DONE
    assert effects() == 1
    assert hooks_of(body.it.told) == ["before_start"], "as with Celery, it is no success"


def test_the_hooks_are_told_of_a_success_that_is_committed(bound: Task[Any], body: Any) -> None:
    body.then = lambda: "a value"
    message = sent(bound)
    work(bound, message)
    assert body.it.told == [
        ("before_start", str(message.id), (), {"order_id": 7}),
        ("on_success", "a value", DONE),
        ("after_return", "SUCCESS"),
    ]


def test_the_hooks_are_told_of_a_failure(bound: Task[Any], body: Any) -> None:
    body.then = fail
    message = sent(bound)
    with pytest.raises(Failed):
        work(bound, message)
    assert body.it.told[1:] == [
        ("on_retry", "Failed('out of paper')", True),
        ("after_return", "RETRY"),
    ]


def test_a_copy_that_runs_nothing_tells_the_hooks_nothing(bound: Task[Any], body: Any) -> None:
    message = sent(bound)
    work(bound, message)
    told = list(body.it.told)
    assert work(bound, message) == "already_done"
    assert body.it.told == told


def test_a_hook_that_fails_changes_nothing_that_is_committed(
    declare: Declare, caplog: pytest.LogCaptureFixture
) -> None:
    class Clumsy(celery.Task):  # type: ignore[type-arg]
        def on_success(self, *_: Any) -> None:
            fail()

    @declare("order.clumsy", base=Clumsy)
    def clumsy(order_id: int) -> None: ...

    message = sent(clumsy)
    assert work(clumsy, message) == "done"
    assert HistoryMessage.objects.filter(pk=message.id).exists()
    assert "on_success" in caplog.text


def test_what_fails_before_the_start_is_the_tasks_failure(declare: Declare) -> None:
    class Unready(celery.Task):  # type: ignore[type-arg]
        def before_start(self, *_: Any) -> None:
            fail()

    @declare("order.unready", base=Unready)
    def unready(order_id: int) -> None:
        raise AssertionError("it ran")

    message = sent(unready)
    with pytest.raises(Failed):
        work(unready, message)
    assert (row(message).state, row(message).attempts) == (State.READY, 1)
