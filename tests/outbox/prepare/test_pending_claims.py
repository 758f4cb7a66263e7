"""The batches of a post-processor: how large they are, and where they begin."""

from __future__ import annotations

from typing import Any

import pytest

from outbox import pending_claims, store
from outbox.declaration import Task
from outbox.message import Message
from outbox.models import OutboxMessage
from outbox.pending_claims import PendingClaims
from tests.outbox.prepare.preparing import committed, enqueue

pytestmark = committed


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> PendingClaims:
    monkeypatch.setattr(pending_claims, "FIRST_SIZE", 2)
    monkeypatch.setattr(pending_claims, "QUICK_SECONDS", 60.0)  # however busy the machine
    return PendingClaims(8, growing=True)


def numbers(batch: list[Message]) -> list[int]:
    return sorted(message.payload["order_id"] for message in batch)


def test_batches_grow_while_they_are_full_and_quick(task: Task[Any], claims: PendingClaims) -> None:
    enqueue(task, *range(30))
    sizes = [len(claims.take())]
    while claims.more:
        sizes.append(len(claims.take()))
    assert sizes == [2, 4, 8, 8, 8, 0]


def test_a_slow_batch_makes_the_later_ones_small_again(
    task: Task[Any], claims: PendingClaims, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(task, *range(40))
    assert [len(claims.take()) for _ in range(3)] == [2, 4, 8]
    monkeypatch.setattr(pending_claims, "QUICK_SECONDS", 0.0)
    assert [len(claims.take()) for _ in range(3)] == [4, 2, 2]


def test_a_claim_begins_where_the_last_one_ended_and_at_times_at_the_start(
    task: Task[Any],
) -> None:
    claims = PendingClaims(10)
    OutboxMessage.objects.filter(pk__in=[m.id for m in enqueue(task, 1)]).update(due_at=_ago(5))
    assert numbers(claims.take()) == [1]
    OutboxMessage.objects.filter(pk__in=[m.id for m in enqueue(task, 2)]).update(due_at=_ago(60))
    assert claims.take() == []
    assert numbers(claims.take(from_start=True)) == [2]


def _ago(seconds: float) -> Any:
    return store.run("SELECT now() - make_interval(secs => %(seconds)s)", seconds=seconds)[0][0]
