"""A task that fails: its effect is undone, and the retry is written in the same transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection

import outbox
from outbox import store
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.states import State
from tests.outbox.consumer.consuming import (
    Body,
    Failed,
    Raw,
    claim,
    committed,
    effects,
    enqueue,
    fail,
    row,
    seconds_until_due,
    sent,
    wait_over,
)

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "not yet marked"])
def test_an_exception_undoes_the_body_and_schedules_the_retry(
    task: Task[Any], body: Body, marked: bool
) -> None:
    body.then = fail
    enqueue(task)
    message = claim()
    if marked:
        store.mark_dispatched([message])

    with pytest.raises(Failed, match="out of paper"):
        consume(task, message.id, again=False)

    left = row(message)
    assert effects() == 0
    assert (left.state, left.attempts, left.lease_token) == (State.READY, 1, None)
    assert (left.suspect, left.dispatched_at) == (False, None)
    assert left.last_error.startswith("Traceback")
    assert left.last_error.rstrip().endswith("Failed: out of paper")
    assert -1 <= seconds_until_due(message) <= 4
    assert body.runs[0].attempts == 1
    if not marked:
        assert store.mark_dispatched([message]) == set(), "a late mark must not undo the retry"
        assert row(message).state == State.READY


@committed
def test_error_and_undone_effect_are_one_transaction(
    task: Task[Any], body: Body, connect: Raw
) -> None:
    """Between two transactions a duplicate would take the row and run at once."""
    message = sent(task)
    body.then = fail
    written: list[bool] = []
    real = store.fail_try

    def fail_try(*arguments: Any, **keywords: Any) -> State:
        state = real(*arguments, **keywords)
        with connect().cursor() as other:
            other.execute("SELECT count(*) FROM outbox_message WHERE last_error <> ''")
            written.append(bool(other.fetchone()[0]))
            other.execute("SELECT FROM outbox_message FOR UPDATE SKIP LOCKED")
            written.append(bool(other.fetchall()))
        return state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "fail_try", fail_try)
        with pytest.raises(Failed):
            consume(task, message.id, again=False)
    assert written == [False, False], "not visible yet, and still locked"
    assert row(message).last_error


def test_a_task_that_keeps_failing_is_dead_after_its_attempts(task: Task[Any], body: Body) -> None:
    body.then = fail
    message = sent(task)
    counted = []
    for again in (False, True, False):
        with pytest.raises(Failed):
            consume(task, message.id, again=again)
        counted.append((row(message).attempts, row(message).state))
        wait_over(message)
    assert counted == [(1, "ready"), (2, "ready"), (3, "dead")]
    assert [run.attempts for run in body.runs] == [1, 2, 3]
    assert "out of paper" in row(message).last_error
    assert consume(task, message.id, again=True) == "not_wanted"


def test_the_setting_bounds_a_task_without_a_number_of_its_own(
    task: Task[Any], body: Body, settings: Any
) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "MAX_ATTEMPTS": 1}
    task.max_attempts = None
    body.then = fail
    message = sent(task)
    with pytest.raises(Failed):
        consume(task, message.id, again=False)
    assert row(message).state == State.DEAD


@pytest.mark.parametrize("again", [False, True])
def test_permanent_is_dead_at_once(task: Task[Any], body: Body, again: bool) -> None:
    def give_up() -> None:
        raise outbox.Permanent("no such order")

    body.then = give_up
    message = sent(task)
    with pytest.raises(outbox.Permanent):
        consume(task, message.id, again=again)
    left = row(message)
    assert (left.state, left.attempts) == (State.DEAD, 1)
    assert "no such order" in left.last_error
    assert effects() == 0


@pytest.mark.parametrize("error", [Failed(), Failed("nul \x00"), Failed("half \ud83d")])
def test_any_error_can_be_written(task: Task[Any], body: Body, error: Exception) -> None:
    def raise_it() -> None:
        raise error

    body.then = raise_it
    message = sent(task)
    with pytest.raises(Failed):
        consume(task, message.id, again=False)
    assert row(message).attempts == 1


async def coroutine() -> None: ...


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("lazy", [coroutine, generator, async_generator])
def test_a_body_that_returns_work_undone_has_failed(
    task: Task[Any], body: Body, lazy: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    body.then = lazy
    message = sent(task)
    with pytest.raises(outbox.Permanent, match="its work was not done"):
        consume(task, message.id, again=False)
    assert (row(message).state, effects()) == (State.DEAD, 0)


def test_a_constraint_that_fails_at_the_commit_is_a_failure_like_any_other(
    task: Task[Any], body: Body
) -> None:
    def link_to_nothing() -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO app_post_tags (post_id, tag_id) VALUES (-1, -1)")

    body.then = link_to_nothing
    message = sent(task)
    with pytest.raises(IntegrityError):
        consume(task, message.id, again=False)
    left = row(message)
    assert (left.state, left.attempts, effects()) == (State.READY, 1, 0)
    assert "app_post_tags" in left.last_error


def test_a_body_that_swallows_a_database_error_has_failed(task: Task[Any], body: Body) -> None:
    def swallow() -> None:
        with pytest.raises(DatabaseError):
            connection.cursor().execute("SELECT 1/0")

    body.then = swallow
    message = sent(task)
    with pytest.raises(DatabaseError):
        consume(task, message.id, again=False)
    assert (row(message).attempts, effects()) == (1, 0)
