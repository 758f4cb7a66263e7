"""However long the backlog: what is older than the last claim has its turn, and a stop is heard."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

import outbox
from outbox import prepare
from outbox.declaration import Task
from outbox.models import OutboxMessage
from outbox.prepare import Preparer
from tests.outbox.prepare.preparing import Filling, enqueue, filled, rows

pytestmark = pytest.mark.django_db

LATE = 99


def come_late(task: Task[Any]) -> None:
    """As a message whose transaction took longer to commit than many later ones."""
    enqueue(task, LATE)
    long_ago = timezone.now() - dt.timedelta(minutes=20)
    OutboxMessage.objects.filter(payload__order_id=LATE).update(due_at=long_ago)


@pytest.mark.parametrize(("seconds", "first"), [(0.0, True), (600.0, False)])
def test_in_a_backlog_what_came_late_is_looked_for_now_and_then(
    task: Task[Any],
    filling: Filling,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    first: bool,
) -> None:
    monkeypatch.setattr(prepare, "SWEEP_SECONDS", seconds)
    enqueue(task, *range(8))
    step = Preparer(batch_size=2).step
    assert step()
    come_late(task)
    assert step()
    assert (LATE in filling.batches[1]) is first


def test_a_look_that_finds_nothing_more_is_the_end(
    task: Task[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "SWEEP_SECONDS", 0.0)
    enqueue(task, 1, 2)
    step = Preparer(batch_size=2).step
    assert [step(), step()] == [True, False]


@pytest.mark.timeout(30)
def test_a_stop_ends_the_turn_of_the_suspects(
    task: Task[Any], filling: Filling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "SUSPECTS_SECONDS", 3600.0)
    stopping = False

    def stop(_messages: list[outbox.Message]) -> None:
        nonlocal stopping
        stopping = True

    filling.then = stop
    enqueue(task, 1, 2, 3)
    OutboxMessage.objects.update(suspect=True)
    Preparer(batch_size=10, stopping=lambda: stopping).step()
    assert len(filled()) == 1
    assert {row.attempts for row in rows("pending").values()} == {0}
