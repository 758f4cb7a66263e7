"""What is done stays to be asked for until its retention is over, whatever day it was done."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import psycopg2
import pytest
from django.db import connection
from django.test import Client
from psycopg2 import errors

from outbox import consumer, store
from outbox.models import HistoryMessage
from outbox.partitions import maintain, name_of
from outbox.states import State
from tests.conftest import Declare
from tests.message_factory import HistoryFactory, MessageFactory, as_message
from tests.outbox.moved_clock import movable_clock, set_clock
from tests.sql import query

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]

KEPT_DAYS = 14


def today() -> date:
    day: date = query("SELECT (now() AT TIME ZONE 'UTC')::date")[0][0]
    return day


def day_at(offset: int) -> date:
    return today() + timedelta(days=offset)


def partitions_now() -> set[str]:
    ours = "inhparent = 'outbox_history'::regclass"
    rows = query(f"SELECT inhrelid::regclass::text FROM pg_inherits WHERE {ours}")
    return {name for [name] in rows}


def home_of(message_id: uuid.UUID) -> str:
    rows = query("SELECT tableoid::regclass::text FROM outbox_history WHERE id = %s", message_id)
    return str(rows[0][0])


def add_partition(day: date) -> None:
    query(
        f"CREATE TABLE {name_of(day)} PARTITION OF outbox_history"
        f" FOR VALUES FROM ('{day} 00:00Z') TO ('{day + timedelta(days=1)} 00:00Z')"
    )


def done_on(day: date) -> HistoryMessage:
    return HistoryFactory(done_at=datetime(day.year, day.month, day.day, 12, tzinfo=UTC))


def ask(message_id: uuid.UUID) -> tuple[int, str | None]:
    """The status that a sender gets, and the state in its answer."""
    answer = Client().get(f"/messages/{message_id}/")
    return answer.status_code, answer.json().get("state")


@pytest.fixture(autouse=True)
def _healthy(transactional_db: None) -> Iterator[None]:
    """The days from today on have their partitions, before and after."""
    maintain()
    yield
    query("DELETE FROM outbox_history")
    for name in partitions_now() - {name_of(day_at(offset)) for offset in range(8)}:
        if name != "outbox_history_default":
            query(f"DROP TABLE {name}")
    maintain()


def test_a_status_is_answered_until_the_partition_is_dropped(settings: Any) -> None:
    for age in (KEPT_DAYS, KEPT_DAYS + 1):
        add_partition(day_at(-age))
    kept, over = done_on(day_at(-KEPT_DAYS)), done_on(day_at(-KEPT_DAYS - 1))
    assert home_of(over.pk) == name_of(day_at(-KEPT_DAYS - 1))
    assert ask(kept.pk) == ask(over.pk) == (200, "done")
    maintain()
    assert ask(kept.pk) == (200, "done")
    assert ask(over.pk) == (404, None)


def test_a_status_is_answered_from_the_default_partition_until_it_is_pruned() -> None:
    kept, over = done_on(day_at(-KEPT_DAYS)), done_on(day_at(-KEPT_DAYS - 1))
    assert {home_of(kept.pk), home_of(over.pk)} == {"outbox_history_default"}
    assert ask(kept.pk) == ask(over.pk) == (200, "done")
    assert maintain().pruned == 1
    assert ask(kept.pk) == (200, "done")
    assert ask(over.pk) == (404, None)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles"])
def test_the_retention_is_the_same_in_every_time_zone(zone: str) -> None:
    first = datetime.combine(day_at(-KEPT_DAYS), datetime.min.time(), UTC)
    kept = HistoryFactory(done_at=first)
    over = HistoryFactory(done_at=first - timedelta(microseconds=1))
    query("SELECT set_config('TimeZone', %s, false)", zone)
    try:
        maintain()
    finally:
        query("SET TIME ZONE 'UTC'")
    assert (ask(kept.pk)[0], ask(over.pk)[0]) == (200, 404)


def test_days_that_were_missed_stop_no_task_and_the_next_ones_get_their_partition() -> None:
    """Maintenance that did not run for ten days, by a clock that is ten days ahead."""
    first = day_at(0)
    with movable_clock():
        set_clock(f"{first + timedelta(days=10)} 12:00+00")
        assert today() == first + timedelta(days=10)
        row = MessageFactory(state=State.DISPATCHED)
        store.complete(as_message(row), counted=False, token=None, taken_at=row.received_at)
        assert home_of(row.pk) == "outbox_history_default"
        assert ask(row.pk) == (200, "done")

        result = maintain()
        assert result.blocked == [name_of(today())]
        assert result.created == [name_of(day_at(offset)) for offset in range(1, 8)]
        set_clock(f"{first + timedelta(days=11)} 00:00:01+00")
        later = MessageFactory(state=State.DISPATCHED)
        store.complete(as_message(later), counted=False, token=None, taken_at=row.received_at)
        assert home_of(later.pk) == name_of(today())

        set_clock(f"{first + timedelta(days=11 + KEPT_DAYS)} 00:00:01+00")
        result = maintain()
        assert result.pruned == 1
        assert name_of(first) in result.dropped
        assert name_of(first + timedelta(days=11)) not in result.dropped
    assert (ask(row.pk)[0], ask(later.pk)[0]) == (404, 200)


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_a_task_that_runs_over_midnight_is_done_on_the_second_day(
    zone: str, declare: Declare
) -> None:
    first = day_at(3)
    second = first + timedelta(days=1)
    seen: list[date] = []

    def body() -> None:
        set_clock(f"{first} 23:59:59.9+00")
        seen.append(today())  # of the transaction's start
        query("SELECT pg_sleep(0.15)")

    task = declare("midnight.kind", name="midnight.kind")(body)
    with movable_clock():
        query("SELECT set_config('TimeZone', %s, false)", zone)
        set_clock(f"{first} 23:59:59+00")
        row = MessageFactory(
            event_type="midnight.kind", task="midnight.kind", state=State.DISPATCHED
        )
        assert consumer.consume(task, row.pk, again=False) == "done"
        query("SET TIME ZONE 'UTC'")
        assert seen == [first]
    done = HistoryMessage.objects.get(pk=row.pk)
    assert done.done_at.astimezone(UTC).date() == second
    assert done.dispatched_at < done.done_at
    assert home_of(row.pk) == name_of(second)
    assert ask(row.pk) == (200, "done")


@pytest.mark.parametrize(
    ("moment", "offset"),
    [("23:59:59.999999", 0), ("00:00:00", 1)],
    ids=["the last microsecond", "midnight"],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_the_day_changes_at_midnight_utc(zone: str, moment: str, offset: int) -> None:
    day = day_at(3 + offset)
    row = HistoryFactory(done_at=datetime.fromisoformat(f"{day} {moment}+00:00"))
    query("SELECT set_config('TimeZone', %s, false)", zone)
    try:
        assert home_of(row.pk) == name_of(day)
    finally:
        query("SET TIME ZONE 'UTC'")


def test_nobody_waits_for_maintenance_that_waits_for_a_long_reader() -> None:
    """Each try of a lock ends within 100 ms, and who queued behind it goes on."""
    for age in range(1, 4):
        add_partition(day_at(-KEPT_DAYS - age))
    for offset in (5, 6, 7):
        query(f"DROP TABLE {name_of(day_at(offset))}")
    with closing(psycopg2.connect(**connection.get_connection_params())) as reader:
        reader.cursor().execute("SELECT count(*) FROM outbox_history")
        with Traffic() as traffic:
            result = maintain()
            assert len(result.postponed) == 6
    assert traffic.failures == []
    assert traffic.statements > 10
    print(f"{traffic.statements} statements, the longest took {traffic.longest * 1000:.0f} ms")


class Traffic:
    """What a worker's receipt, the web's status and the relay's claim do, again and again."""

    # Ten times the maintenance's own patience, to be sure of it on any machine.
    SETUP = "SET lock_timeout = '1s'"
    STATEMENTS = (
        (
            "INSERT INTO outbox_history SELECT gen_random_uuid(), 'a', 'a', 'a', 0, 1,"
            " now(), now(), now(), now()"
        ),
        "SELECT id FROM outbox_history WHERE id = gen_random_uuid()",
        "SELECT id FROM outbox_message WHERE state = 'ready' FOR NO KEY UPDATE SKIP LOCKED LIMIT 1",
    )

    def __init__(self) -> None:
        self.statements = 0
        self.longest = 0.0
        self.failures: list[str] = []
        self._parameters = connection.get_connection_params()
        self._over = threading.Event()
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._began.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20)

    def _run(self) -> None:
        with closing(psycopg2.connect(**self._parameters)) as raw, raw.cursor() as cursor:
            raw.autocommit = True
            cursor.execute(self.SETUP)
            while not self._over.is_set():
                for statement in self.STATEMENTS:
                    began = time.monotonic()
                    try:
                        cursor.execute(statement)
                    except errors.LockNotAvailable as error:
                        self.failures.append(f"{statement[:40]}: {error}")
                    self.longest = max(self.longest, time.monotonic() - began)
                    self.statements += 1
                self._began.set()
