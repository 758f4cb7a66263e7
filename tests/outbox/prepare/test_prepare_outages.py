"""What is nobody's fault costs no attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection

import outbox
from app.models import Tag
from outbox import prepare, store
from outbox.declaration import Task
from outbox.last_error import NO_WORD
from outbox.prepare import Preparer
from outbox.states import State
from tests.outbox.prepare.preparing import (
    Filling,
    Poison,
    Raw,
    committed,
    enqueue,
    filled,
    make_due,
    poisoned,
    rows,
)

pytestmark = pytest.mark.django_db


def raising(code: str) -> Callable[..., None]:
    def fail(_messages: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$")

    return fail


@pytest.mark.parametrize("code", ["40P01", "40001", "55P03", "57P01", "57P03", "53300", "08006"])
def test_what_is_nobodys_fault_is_refunded_whole(
    task: Task[Any], filling: Filling, code: str
) -> None:
    enqueue(task, 1, 2)
    filling.then = raising(code)
    Preparer(batch_size=10).step()
    assert filling.batches == [[1, 2]], "not halved"
    for row in rows("pending").values():
        assert (row.attempts, row.suspect, row.lease_token) == (0, False, None)
        assert row.last_error == ""
    assert filled() == set()


@pytest.mark.parametrize("code", ["57014", "22012", "23505", "XX000"])
def test_other_errors_of_the_database_count(task: Task[Any], filling: Filling, code: str) -> None:
    enqueue(task, 1)
    filling.then = raising(code)
    Preparer(batch_size=10).step()
    assert (rows("pending")[1].attempts, rows("pending")[1].suspect) == (1, True)


def test_a_statement_timeout_counts(task: Task[Any], filling: Filling) -> None:
    """A statement that is always too slow would otherwise be tried for ever."""
    enqueue(task, 1)

    def be_slow(_messages: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '10ms'")
            cursor.execute("SELECT pg_sleep(5)")

    filling.then = be_slow
    Preparer(batch_size=10).step()
    assert rows("pending")[1].attempts == 1
    assert "statement timeout" in rows("pending")[1].last_error


def test_a_mistake_with_a_connection_that_stands_counts(task: Task[Any], filling: Filling) -> None:
    """Given back each time, it would hold up its whole batch for ever."""
    enqueue(task, 1, 2)

    def use_closed_cursor(messages: list[outbox.Message]) -> None:
        if messages[0].payload["order_id"] == 1:
            cursor = connection.cursor()
            cursor.close()
            cursor.execute("SELECT 1")

    filling.then = use_closed_cursor
    Preparer(batch_size=10).step()
    assert {*rows("ready")} == {2}
    assert rows("pending")[1].attempts == 1
    assert InterfaceError.__name__ in rows("pending")[1].last_error


@committed
def test_a_lock_that_is_not_to_be_had_is_nobodys_fault(
    task: Task[Any], filling: Filling, connect: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "LOCK_TIMEOUT", "50ms")
    enqueue(task, 1)
    Tag.objects.create(name="held 0")

    def want_the_lock(_messages: object) -> None:
        Tag.objects.filter(name="held 0").update(name="held 1")

    filling.then = want_the_lock
    with connect().cursor() as holder:
        holder.execute("BEGIN")
        holder.execute("SELECT FROM app_tag WHERE name = 'held 0' FOR UPDATE")
        Preparer(batch_size=10).step()
        holder.execute("ROLLBACK")
    assert (rows("pending")[1].attempts, rows("pending")[1].suspect) == (0, False)
    assert filled() == {0}
    make_due()
    Preparer(batch_size=10).step()
    assert {*rows("ready")} == {1}


@committed
def test_a_lost_connection_is_nobodys_fault(task: Task[Any], filling: Filling) -> None:
    enqueue(task, 1, 2)

    def end_own_session(_messages: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    filling.then = end_own_session
    preparer = Preparer(batch_size=10)
    preparer.step()
    assert [row.attempts for row in rows("pending").values()] == [0, 0]
    filling.then = lambda messages: None
    make_due()
    while preparer.step():
        pass  # one at a time: either of them may have been the cause
    assert {*rows("ready")} == {1, 2}


@committed
def test_a_message_that_loses_the_connection_each_time_ends_dead_alone(
    task: Task[Any], filling: Filling
) -> None:
    enqueue(task, 1, 2)

    def end_own_session(messages: list[outbox.Message]) -> None:
        if any(message.payload["order_id"] == 1 for message in messages):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    filling.then = end_own_session
    preparer = Preparer(batch_size=10)
    for _ in range(2 * task.max_attempts + 3):
        preparer.step()
        make_due()
    assert {*rows("ready")} == {2}
    assert "terminat" in rows("dead")[1].last_error


@committed
def test_after_an_outage_everything_that_was_claimed_is_given_back(
    task: Task[Any], other: Task[Any], filling: Filling, outage: Any
) -> None:
    """Also what was not begun: the other half of a batch, and the other function's messages."""
    other.prepare(lambda messages: None)
    enqueue(task, 1, 2)
    enqueue(other, 3)

    def fail_as_the_database_goes_away(messages: list[outbox.Message]) -> None:
        if len(messages) > 1:
            raise Poison  # halved
        outage.begin()
        Tag.objects.count()

    filling.then = fail_as_the_database_goes_away
    preparer = Preparer(batch_size=10)
    with pytest.raises(OperationalError):
        preparer.step()
    outage.end()
    connection.close()
    claimed = rows("pending").values()
    assert [(row.attempts, row.suspect) for row in claimed] == [(1, True)] * 3

    preparer.settle()

    for number, row in rows("pending").items():
        # Only the one that was being worked on can have been the cause.
        assert (row.attempts, row.suspect, row.lease_token) == (0, number == 1, None)
    filling.then = lambda messages: None
    make_due()
    preparer.step()
    assert {*rows("ready")} == {1, 2, 3}


@committed
def test_a_failure_that_cannot_be_written_for_an_outage_is_refunded(
    task: Task[Any], filling: Filling, outage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(task, 1)
    filling.then = poisoned(1)
    real = store.fail

    def fail_in_the_outage(*arguments: Any, **keywords: Any) -> State:
        outage.begin()
        return real(*arguments, **keywords)

    monkeypatch.setattr(store, "fail", fail_in_the_outage)
    preparer = Preparer(batch_size=10)
    with pytest.raises((OperationalError, InterfaceError)):
        preparer.step()
    outage.end()
    connection.close()
    assert rows("pending")[1].attempts == 1
    preparer.settle()
    assert (rows("pending")[1].attempts, rows("pending")[1].lease_token) == (0, None)


@committed
def test_a_message_that_takes_the_server_down_each_time_ends_dead_too(
    task: Task[Any], filling: Filling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the server recovers nothing can be written: the lease runs out instead."""
    monkeypatch.setattr(prepare, "_database_answers", lambda: False)
    enqueue(task, 1)

    def end_own_session(_messages: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    filling.then = end_own_session
    preparer = Preparer(batch_size=10)
    for _ in range(task.max_attempts + 3):
        preparer.step()
        make_due()
    assert rows("dead")[1].last_error == NO_WORD
