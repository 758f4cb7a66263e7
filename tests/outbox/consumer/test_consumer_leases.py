"""A task without a transaction: a lease of its own guards its receipt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, router
from django.db.transaction import Atomic

from app.models import Post
from outbox import registry, store
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.models import HistoryMessage
from outbox.routers import replica_reads
from outbox.states import DONE, State
from tests.message_factory import state_of
from tests.outbox.consumer.consuming import (
    Body,
    Failed,
    claim,
    committed,
    effects,
    end_own_session,
    enqueue,
    fail,
    row,
    seconds_until_due,
    sent,
    wait_over,
)

pytestmark = pytest.mark.django_db


@committed
def test_without_a_transaction_the_primary_is_read_in_a_web_request_too(
    leased: Task[Any], body: Body
) -> None:
    read: list[str] = []
    body.then = lambda: read.append(router.db_for_read(Post))
    message = sent(leased)
    with replica_reads():
        assert router.db_for_read(Post) == "replica"
        consume(leased, message.id, again=False)
    assert read == ["default"]


@committed
def test_without_a_transaction_none_is_open_in_the_body(leased: Task[Any], body: Body) -> None:
    open_blocks: list[list[Atomic]] = []
    body.then = lambda: open_blocks.append([*connection.atomic_blocks])
    message = sent(leased)
    assert consume(leased, message.id, again=False) == "done"
    assert open_blocks == [[]]
    assert body.runs[0].attempts == 1
    assert HistoryMessage.objects.get(pk=message.id).attempts == 0
    assert effects() == 1


def test_while_it_runs_its_lease_covers_its_time_limit_and_refuses_copies(
    leased: Task[Any], body: Body
) -> None:
    message = sent(leased)
    words = []

    def copy_comes() -> None:
        assert 55 < seconds_until_due(message) <= 60 + 4, "and the first bound of the backoff"
        body.then = lambda: None
        words.append(consume(leased, message.id, again=True))

    body.then = copy_comes
    assert consume(leased, message.id, again=False) == "done"
    assert words == ["busy"]
    assert len(body.runs) == 1


def test_the_relays_late_mark_does_not_end_the_lease(leased: Task[Any], body: Body) -> None:
    enqueue(leased)
    message = claim()

    def mark() -> None:
        assert store.mark_dispatched([message]) == set()
        assert store.release([message]) == set()

    body.then = mark
    assert consume(leased, message.id, again=False) == "done"


def test_a_lost_lease_completes_nothing_twice(leased: Task[Any], body: Body) -> None:
    message = sent(leased)
    words = []

    def lose_the_lease() -> None:
        wait_over(message)
        body.then = lambda: None
        words.append(consume(leased, message.id, again=True))

    body.then = lose_the_lease
    assert consume(leased, message.id, again=False) == "lease_lost"
    assert words == ["done"]
    assert HistoryMessage.objects.count() == 1


def test_a_failure_after_a_lost_lease_does_not_touch_the_new_one(
    leased: Task[Any], body: Body
) -> None:
    message = sent(leased)

    def lose_the_lease() -> None:
        wait_over(message)
        (taken,) = store.claim_unsent_suspect(["celery"], registry.allowed_tasks())
        assert taken.attempts == 2
        raise Failed

    body.then = lose_the_lease
    with pytest.raises(Failed):
        consume(leased, message.id, again=False)
    left = row(message)
    assert (left.state, left.attempts, left.last_error) == (State.DISPATCHED, 2, "")


def test_without_a_transaction_a_failure_is_retried_and_its_effect_stays(
    leased: Task[Any], body: Body
) -> None:
    body.then = fail
    message = sent(leased)
    for attempts in (1, 2, 3):
        with pytest.raises(Failed):
            consume(leased, message.id, again=attempts > 1)
        left = row(message)
        assert (left.attempts, left.lease_token, left.started_at) == (attempts, None, None)
        wait_over(message)
    assert row(message).state == State.DEAD
    assert effects() == 3, "what it did outside of a transaction cannot be undone"


@committed
def test_without_a_transaction_a_connection_lost_in_the_body_is_replaced_for_the_receipt(
    leased: Task[Any], body: Body
) -> None:
    def lose_and_hide() -> None:
        with pytest.raises(DatabaseError):
            end_own_session()

    body.then = lose_and_hide
    message = sent(leased)
    assert consume(leased, message.id, again=False) == "done"
    assert state_of(message.id) == DONE


@committed
def test_without_a_transaction_a_connection_that_died_unseen_is_replaced(
    leased: Task[Any], body: Body, maintenance: Callable[..., Any]
) -> None:
    """As behind a firewall that forgets idle connections while the body talks to a bank."""

    def die_unseen() -> None:
        assert connection.connection is not None
        maintenance("SELECT pg_terminate_backend(%s)", connection.connection.info.backend_pid)

    body.then = die_unseen
    message = sent(leased)
    assert consume(leased, message.id, again=False) == "done"


@committed
def test_a_connection_that_died_between_two_tasks_is_replaced(
    task: Task[Any], maintenance: Callable[..., Any]
) -> None:
    message = sent(task)
    assert connection.connection is not None
    maintenance("SELECT pg_terminate_backend(%s)", connection.connection.info.backend_pid)
    assert consume(task, message.id, again=False) == "done"
