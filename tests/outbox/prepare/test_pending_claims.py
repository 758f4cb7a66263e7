"""The batches of a post-processor, and the one that is claimed while another is worked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection

from outbox import pending_claims, store
from outbox.declaration import Task
from outbox.message import Message
from outbox.models import OutboxMessage
from outbox.pending_claims import PendingClaims
from outbox.prepare import Preparer
from tests.outbox.prepare.preparing import Filling, committed, enqueue, filled, rows
from tests.waiting import eventually

pytestmark = committed


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> Iterator[PendingClaims]:
    monkeypatch.setattr(pending_claims, "FIRST_SIZE", 2)
    monkeypatch.setattr(pending_claims, "QUICK_SECONDS", 60.0)  # however busy the machine
    claims = PendingClaims(8, ahead=True)
    yield claims
    claims.close()


def leased() -> int:
    return OutboxMessage.objects.filter(lease_token__isnull=False).count()


def sessions() -> int:
    statement = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend'
    """
    return int(store.run(statement)[0][0])


def numbers(batch: list[Message]) -> list[int]:
    return sorted(message.payload["order_id"] for message in batch)


def test_batches_grow_while_they_are_full_and_the_next_is_claimed_meanwhile(
    task: Task[Any], claims: PendingClaims
) -> None:
    enqueue(task, *range(30))
    sizes = [len(claims.take())]
    eventually(lambda: leased() == 4)
    while claims.more:
        sizes.append(len(claims.take()))
    assert sizes == [2, 2, 4, 8, 8, 6]
    assert leased() == 30


def test_a_slow_batch_makes_the_later_ones_small_again(
    task: Task[Any], claims: PendingClaims, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(task, *range(40))
    assert [len(claims.take()) for _ in range(4)] == [2, 2, 4, 8]
    monkeypatch.setattr(pending_claims, "QUICK_SECONDS", 0.0)
    # The next one was claimed before that.
    assert [len(claims.take()) for _ in range(4)] == [8, 4, 2, 2]


def test_what_was_claimed_and_not_taken_is_given_back(task: Task[Any], filling: Filling) -> None:
    enqueue(task, 1, 2, 3)
    preparer = Preparer(batch_size=2, ahead=True)
    assert preparer.step()
    eventually(lambda: leased() == 1)
    preparer.close()
    [left] = rows("pending").values()
    assert (left.lease_token, left.suspect, left.attempts) == (None, False, 0)


def test_everything_is_prepared_once(task: Task[Any], filling: Filling) -> None:
    enqueue(task, *range(25))
    preparer = Preparer(batch_size=4, ahead=True)
    while preparer.step():
        pass
    preparer.close()
    assert sorted(number for batch in filling.batches for number in batch) == [*range(25)]
    assert filled() == {*range(25)} == {*rows("ready")}


def test_a_claim_ahead_that_fails_is_left_to_the_next_turn(
    task: Task[Any], claims: PendingClaims, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue(task, *range(4))
    real = store.claim_pending
    refused = []

    def refuse_once(*args: Any, **kwargs: Any) -> list[Message]:
        if not refused and connection.connection is None:  # the other thread's, at its first use
            refused.append(True)
            raise OperationalError("the database is away")
        return real(*args, **kwargs)

    assert connection.connection is not None
    monkeypatch.setattr(store, "claim_pending", refuse_once)
    assert numbers(claims.take()) == [0, 1]
    assert numbers(claims.take()) == [2, 3]
    assert refused


def test_without_a_backlog_there_is_no_second_session(task: Task[Any]) -> None:
    before = sessions()
    claims = PendingClaims(2, ahead=True)
    enqueue(task, *range(5))
    while claims.take() and claims.more:
        pass
    eventually(lambda: sessions() == before)


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
