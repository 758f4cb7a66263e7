"""What a body may ask of Celery: `self`, Reject, Ignore, and the hooks of a base class."""

from __future__ import annotations

from typing import Any

import celery
import pytest
from celery.exceptions import Ignore, Reject

import outbox
from outbox.declaration import Task
from outbox.models import HistoryMessage
from outbox.states import DONE, State
from tests.conftest import Declare
from tests.message_factory import state_of
from tests.outbox.consumer.bound import Noted, hooks_of, work
from tests.outbox.consumer.consuming import (
    Failed,
    effects,
    fail,
    row,
    sent,
)

pytestmark = pytest.mark.django_db


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
