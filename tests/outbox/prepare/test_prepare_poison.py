"""A message that cannot be prepared stands alone, and buries no neighbour."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction

import outbox
from outbox import prepare
from outbox.declaration import Task
from outbox.last_error import NO_WORD
from outbox.models import OutboxMessage
from outbox.prepare import Preparer
from tests.conftest import Declare
from tests.outbox import mortal
from tests.outbox.prepare.preparing import (
    Filling,
    committed,
    enqueue,
    filled,
    make_due,
    poisoned,
    rows,
)
from tests.service import database_url

pytestmark = pytest.mark.django_db


def test_a_poisoned_message_stands_alone_and_its_neighbours_become_ready(
    task: Task[Any], filling: Filling
) -> None:
    enqueue(task, *range(8))
    filling.then = poisoned(5)
    Preparer(batch_size=10).step()
    assert {*rows("ready")} == {*range(8)} - {5} == filled()
    left = rows("pending")[5]
    assert (left.attempts, left.suspect, left.lease_token) == (1, True, None)
    assert left.last_error.rstrip().endswith("Poison: a poisoned message")
    assert all(row.last_error == "" for row in rows("ready").values())


def test_a_poisoned_message_is_tried_alone_until_it_is_dead(
    task: Task[Any], filling: Filling
) -> None:
    enqueue(task, 1, 2)
    filling.then = poisoned(1)
    preparer = Preparer(batch_size=10)
    preparer.step()
    filling.batches.clear()
    for _ in range(2):
        enqueue(task, 3)
        preparer.step()
    assert filling.batches == [[3], [1], [3], [1]]
    dead = rows("dead")[1]
    assert (dead.attempts, dead.ready_at, dead.lease_token) == (3, None, None)


@pytest.mark.parametrize(
    ("seconds", "turns"), [(0.0, [False, True, False, True]), (60.0, [False, True, True, False])]
)
def test_suspects_have_a_turn_between_two_batches_each_alone(
    task: Task[Any],
    filling: Filling,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    turns: list[bool],
) -> None:
    monkeypatch.setattr(prepare, "SUSPECTS_SECONDS", seconds)
    enqueue(task, *range(4))
    OutboxMessage.objects.filter(payload__order_id__lt=2).update(suspect=True)
    preparer = Preparer(batch_size=1)
    while preparer.step():
        pass
    assert [batch[0] < 2 for batch in filling.batches] == turns


def test_once_a_suspect_was_found_no_further_look_is_needed_for_the_next(
    task: Task[Any], filling: Filling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look may be granted once in seconds, where a forgotten transaction makes it dear."""
    monkeypatch.setattr(prepare, "SUSPECTS_SECONDS", 0.0)
    enqueue(task, *range(4))
    OutboxMessage.objects.update(suspect=True)
    preparer = Preparer(batch_size=10)
    assert preparer.advance()
    monkeypatch.setattr(preparer._looks, "granted", lambda: False)
    while preparer.advance():
        pass
    assert sorted(filling.batches) == [[0], [1], [2], [3]]


def test_permanent_is_dead_at_once_and_alone(task: Task[Any], filling: Filling) -> None:
    enqueue(task, 1, 2, 3)
    filling.then = poisoned(2, error=outbox.Permanent("never"))
    Preparer(batch_size=10).step()
    assert ({*rows("ready")}, {*rows("dead")}) == ({1, 3}, {2})
    assert "never" in rows("dead")[2].last_error


@pytest.mark.parametrize("result", [42, [object()]], ids=["not iterable", "not messages"])
def test_a_senseless_answer_is_a_failure(task: Task[Any], filling: Filling, result: Any) -> None:
    enqueue(task, 1)
    filling.then = lambda messages: result
    Preparer(batch_size=10).step()
    assert (rows("pending")[1].attempts, filled()) == (1, set())


@committed
def test_a_constraint_that_fails_at_the_commit_is_a_failure(
    task: Task[Any], filling: Filling
) -> None:
    enqueue(task, 1, 2)

    def link_to_nothing(messages: list[outbox.Message]) -> None:
        if messages[-1].payload["order_id"] == 2:
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO app_post_tags (post_id, tag_id) VALUES (-1, -1)")

    filling.then = link_to_nothing
    Preparer(batch_size=10).step()
    assert ({*rows("ready")}, {*rows("pending")}, filled()) == ({1}, {2}, {1})


def test_a_prepare_that_kills_its_process_ends_dead_and_buries_no_neighbour(
    transactional_db: None, declare: Declare
) -> None:
    _, _, task = mortal.declare_all(declare)
    with transaction.atomic():
        task.enqueue(order_id=1)
        task.enqueue(order_id=2, deadly=True)
        task.enqueue(order_id=3)
    deaths = 0
    while (code := mortal.run(database_url("default"), "prepare")) == mortal.DIED:
        deaths += 1
        make_due()
    assert (code, deaths) == (0, mortal.MAX_ATTEMPTS)
    assert {*rows("ready")} == {1, 3}
    assert rows("dead")[2].last_error == NO_WORD
