"""The soft time limit of the prefork pool is a signal: only the body of a task feels it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from billiard.exceptions import SoftTimeLimitExceeded
from billiard.pool import SIG_SOFT_TIMEOUT, soft_timeout_sighandler

from outbox import store, taking
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.states import DONE, State
from tests.message_factory import state_of
from tests.outbox.consumer.consuming import Body, Failed, effects, fail, row, sent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _as_in_a_prefork_worker() -> Iterator[None]:
    before = signal.signal(SIG_SOFT_TIMEOUT, soft_timeout_sighandler)
    yield
    signal.signal(SIG_SOFT_TIMEOUT, before)


@pytest.fixture(params=["task", "leased"])
def limited(request: pytest.FixtureRequest) -> Task[Any]:
    """A task with a transaction and one without."""
    task: Task[Any] = request.getfixturevalue(request.param)
    return task


def time_is_up(*_: Any) -> None:
    signal.raise_signal(SIG_SOFT_TIMEOUT)


def late(monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> None:
    """Have the time run out in the midst of a function of ours."""
    real = getattr(place, name)

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        time_is_up()
        result = real(*args, **kwargs)
        time_is_up()
        return result

    monkeypatch.setattr(place, name, interrupted)


def test_the_limit_ends_the_body_and_is_a_failure_that_is_tried_again(
    limited: Task[Any], body: Body
) -> None:
    body.then = time_is_up
    message = sent(limited)
    with pytest.raises(SoftTimeLimitExceeded):
        consume(limited, message.id, again=False)
    assert (row(message).state, row(message).attempts) == (State.READY, 1)
    assert "SoftTimeLimitExceeded" in row(message).last_error
    assert effects() == (0 if limited.atomic else 1)


def test_a_body_may_catch_it_and_end_well(limited: Task[Any], body: Body) -> None:
    def catch() -> None:
        with pytest.raises(SoftTimeLimitExceeded):
            time_is_up()

    body.then = catch
    message = sent(limited)
    assert consume(limited, message.id, again=False) == "done"


def test_a_limit_during_the_writing_of_a_failure_does_not_lose_it(
    limited: Task[Any], body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    late(monkeypatch, store, "fail_try")
    body.then = fail
    message = sent(limited)
    with pytest.raises(Failed):
        consume(limited, message.id, again=False)
    assert (row(message).state, row(message).attempts) == (State.READY, 1)


def test_a_limit_during_the_receipt_does_not_undo_what_is_done(
    limited: Task[Any], body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    late(monkeypatch, store, "complete")
    message = sent(limited)
    assert consume(limited, message.id, again=False) == "done"
    assert (state_of(message.id), effects()) == (DONE, 1)


def test_a_limit_before_the_body_is_felt_by_it_and_written(
    limited: Task[Any], body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    late(monkeypatch, taking, "_take")
    message = sent(limited)
    with pytest.raises(SoftTimeLimitExceeded):
        consume(limited, message.id, again=False)
    assert (row(message).state, row(message).attempts) == (State.READY, 1)
    assert body.runs == []


def test_the_pools_own_handler_is_back_afterwards(limited: Task[Any], body: Body) -> None:
    consume(limited, sent(limited).id, again=False)
    assert signal.getsignal(SIG_SOFT_TIMEOUT) is soft_timeout_sighandler
    with pytest.raises(SoftTimeLimitExceeded):
        time_is_up()


def test_a_signal_of_anybody_elses_is_left_alone(task: Task[Any], body: Body) -> None:
    heard: list[int] = []
    signal.signal(SIG_SOFT_TIMEOUT, lambda number, _frame: heard.append(number))
    body.then = time_is_up
    assert consume(task, sent(task).id, again=False) == "done"
    assert heard == [SIG_SOFT_TIMEOUT]
