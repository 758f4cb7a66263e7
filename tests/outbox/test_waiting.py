"""What waits, as the front door samples it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import psycopg2
import pytest

from outbox import read_statements
from outbox.side_connection import SideConnection
from outbox.states import State
from outbox.waiting import NOW, SHARE, ReadOnlyServer, Waiting
from outbox.watermark import START
from tests.conftest import Declare
from tests.message_factory import MessageFactory, seconds_from_now
from tests.service import database_url
from tests.sql import query

pytestmark = pytest.mark.usefixtures("committed")

PREPARED = "thing.prepared"


@pytest.fixture
def side() -> Iterator[SideConnection]:
    side = SideConnection()
    yield side
    side.close()


@pytest.fixture(autouse=True)
def _prepared(declare: Declare) -> None:
    @declare(PREPARED)
    def task() -> None: ...

    @task.prepare
    def prepare(messages: object) -> None: ...


def pending(**given: object) -> None:
    MessageFactory.create(**{"state": State.PENDING, "event_type": PREPARED, **given})


def waiting(side: SideConnection, limit: int) -> tuple[int, float]:
    return Waiting(limit).sample(side)


def late(side: SideConnection) -> float:
    return waiting(side, 100)[1]


def test_nothing_waits_and_nothing_is_late(side: SideConnection) -> None:
    assert waiting(side, 100) == (0, 0.0)


def test_whatever_is_not_sent_yet_waits(side: SideConnection) -> None:
    pending()
    pending(leased=True)
    pending(suspect=True, due_in=100.0)
    MessageFactory.create(due_in=100.0)
    MessageFactory.create(leased=True, queue="other")
    MessageFactory.create(state=State.DISPATCHED)
    MessageFactory.create(state=State.DEAD)
    assert waiting(side, 100)[0] == 5


def test_no_more_is_counted_than_the_limit(side: SideConnection) -> None:
    for _ in range(3):
        pending()
        pending(suspect=True)
        MessageFactory.create()
    assert waiting(side, 4)[0] == 4
    assert waiting(side, 9)[0] == 9


def test_the_oldest_that_waits_for_its_first_preparation_tells_how_late(
    side: SideConnection,
) -> None:
    pending(due_in=-50.0)
    pending(due_in=-500.0)
    assert 500 <= late(side) < 530


@pytest.mark.parametrize(
    "given",
    [
        {"state": State.READY},
        {"state": State.DISPATCHED},
        {"state": State.DEAD},
        {"suspect": True, "last_error": "it broke", "attempts": 3},
        {"event_type": "thing.of.another.version"},
    ],
    ids=["queue without workers", "sent", "dead", "waits for its retry", "unknown type"],
)
def test_what_waits_for_something_else_is_not_late(
    side: SideConnection, given: dict[str, object]
) -> None:
    pending(due_in=-500.0, **given)
    assert late(side) == 0.0


def test_behind_a_thousand_of_another_version_nothing_is_late(side: SideConnection) -> None:
    pending(due_in=-500.0)
    older = (
        "INSERT INTO outbox_message (id, event_type, task, queue, payload, state, due_at)"
        " SELECT gen_random_uuid(), 'thing.of.another.version', 'x', 'celery', '{}', 'pending',"
        " now() - make_interval(secs => 600) FROM generate_series(1, %s)"
    )
    query(older, 999)
    assert late(side) >= 500
    query(older, 1)
    assert late(side) == 0.0


def test_what_is_not_due_yet_is_not_late(side: SideConnection) -> None:
    pending(received_at=seconds_from_now(-500), due_in=500.0)
    assert late(side) == 0.0


def test_a_server_that_takes_no_writes_is_no_server(side: SideConnection) -> None:
    waiting(side, 100)
    side.run("SET default_transaction_read_only TO on", seconds=5)
    with pytest.raises(ReadOnlyServer):
        waiting(side, 100)
    assert not side.is_open
    assert waiting(side, 100) == (0, 0.0)


@pytest.mark.django_db(transaction=True)
def test_a_table_that_is_locked_costs_half_a_second_and_not_the_session(
    side: SideConnection,
) -> None:
    waiting(side, 100)
    query("BEGIN; LOCK TABLE outbox_message")
    try:
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            waiting(side, 100)
    finally:
        query("ROLLBACK")
    assert side.is_open
    assert waiting(side, 100) == (0, 0.0)
    [(timeout,)] = side.run("SHOW statement_timeout", seconds=5)
    assert timeout == query("SHOW statement_timeout")[0][0], "it outlives the sample"


def test_a_later_sample_begins_at_the_oldest_that_waits(side: SideConnection) -> None:
    pending(due_in=-500.0)
    pending(due_in=-50.0)
    sampler = Waiting(100)
    sampler._from_start_at = float("inf")
    sampler._mark = time.time() - 100
    assert sampler.sample(side) == (1, pytest.approx(50, abs=20))
    sampler._from_start_at = 0.0
    assert sampler.sample(side) == (2, pytest.approx(500, abs=20))
    sampler._from_start_at = float("inf")
    assert sampler.sample(side) == (2, pytest.approx(500, abs=20)), "it has seen the older one"


def test_a_sample_that_stopped_at_the_limit_knows_no_oldest(side: SideConnection) -> None:
    MessageFactory.create(queue="a", due_in=-50.0)
    MessageFactory.create(queue="b", due_in=-500.0)
    sampler = Waiting(1)
    assert sampler.sample(side)[0] == sampler.sample(side)[0] == 1
    assert sampler._mark == START


def test_where_nothing_waits_what_comes_next_is_seen(side: SideConnection) -> None:
    sampler = Waiting(100)
    assert sampler.sample(side) == (0, 0.0)
    pending()
    sampler._from_start_at = float("inf")
    assert sampler.sample(side)[0] == 1


class Slow:
    """A connection on which each look from the start is cancelled."""

    def __init__(self, side: SideConnection) -> None:
        self.side = side
        self.marks: list[float] = []

    def run(self, statement: str, given: dict[str, Any], *, seconds: float) -> list[Any]:
        self.marks.append(given["mark"])
        if given["mark"] == START:
            raise psycopg2.errors.QueryCanceled
        return self.side.run(statement, given, seconds=seconds)


def test_where_the_look_from_the_start_takes_too_long_the_newest_are_counted(
    side: SideConnection,
) -> None:
    pending(due_in=-500.0)
    pending()
    slow, sampler = cast("Any", Slow(side)), Waiting(100)
    assert sampler.sample(slow)[0] == 1
    sampler._from_start_at = 0.0
    assert sampler.sample(slow)[0] == 1
    sampler.sample(slow)
    assert slow.marks[:3] == [START, NOW, START]


def test_a_look_from_the_start_comes_again_for_its_small_share_of_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, cost, looks = 0.0, 0.5, []

    def run(_: str, given: dict[str, Any], **__: Any) -> list[Any]:
        nonlocal now
        if given["mark"] == START:
            looks.append(now)
            now += cost
        return [(1, 900.0, 1.0, False)]

    monkeypatch.setattr("outbox.waiting.monotonic", lambda: now)
    sampler, costly = Waiting(100), cast("Any", SimpleNamespace(run=run))
    while now < 100.0:
        sampler.sample(costly)
        now += 1.0
    assert looks == pytest.approx([n * (cost + cost / SHARE) for n in range(4)], abs=4)


@pytest.mark.django_db(transaction=True)
def test_dead_entries_that_nothing_can_remove_are_not_walked_over(side: SideConnection) -> None:
    with contextlib.closing(psycopg2.connect(database_url("default"))) as holder:
        holder.set_session(isolation_level="REPEATABLE READ")
        holder.cursor().execute("SELECT count(*) FROM outbox_message")
        query(
            "INSERT INTO outbox_message (id, event_type, task, queue, payload, state, due_at)"
            " SELECT gen_random_uuid(), 'thing.prepared', 'x', 'celery', '{}', 'pending',"
            " now() - make_interval(secs => 600) FROM generate_series(1, 30000)"
        )
        query("DELETE FROM outbox_message")
        sampler = Waiting(100)
        sampler.sample(side)
        assert _buffers(sampler, START) > 10 * _buffers(sampler, sampler._mark)


def _buffers(sampler: Waiting, mark: float) -> int:
    """Pages that a look from that mark reads."""
    given = {"limit": sampler._limit, "mark": mark, "event_types": [PREPARED]}
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {read_statements.WAITING}"
    found = query(explain, **given)[0][0]
    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
