"""The history's partitions: made ahead, dropped in time, and never in the way of a task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from django.db import connection

from outbox import partitions, pruning, store
from outbox.models import HistoryMessage
from outbox.partitions import maintain, name_of
from outbox.states import State
from tests.message_factory import HistoryFactory, MessageFactory, as_message


def today() -> date:
    day: date = store.run("SELECT (now() AT TIME ZONE 'UTC')::date")[0][0]
    return day


def day_at(offset: int) -> date:
    return today() + timedelta(days=offset)


def present() -> set[str]:
    rows = store.run(
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = 'outbox_history'::regclass"
    )
    return {row[0] for row in rows}


def add_partition(day: date) -> str:
    store.run(
        f"CREATE TABLE {name_of(day)} PARTITION OF outbox_history"
        f" FOR VALUES FROM ('{day} 00:00Z') TO ('{day + timedelta(days=1)} 00:00Z')"
    )
    return name_of(day)


def drop_partition(day: date) -> str:
    store.run(f"DROP TABLE {name_of(day)}")
    return name_of(day)


def done_on(day: date) -> HistoryMessage:
    return HistoryFactory(done_at=datetime(day.year, day.month, day.day, 12, tzinfo=UTC))


def in_default() -> int:
    return int(store.run("SELECT count(*) FROM outbox_history_default")[0][0])


@pytest.fixture(autouse=True)
def _healthy(committed: None) -> Iterator[None]:
    """The days from today on have their partitions, before and after."""
    maintain()
    yield
    store.run("DELETE FROM outbox_history")
    for name in present() - {name_of(day_at(offset)) for offset in range(8)}:
        if name != "outbox_history_default":
            store.run(f"DROP TABLE {name}")
    maintain()


@pytest.fixture
def reader() -> Iterator[Any]:
    """A session with a long transaction that has read the history."""
    session = psycopg2.connect(**connection.get_connection_params())
    session.cursor().execute("SELECT count(*) FROM outbox_history")
    yield session
    session.close()


def test_a_week_ahead_has_its_partitions_and_a_second_run_finds_nothing_to_do() -> None:
    for offset in (0, 3, 7):
        drop_partition(day_at(offset))
    assert maintain().created == [name_of(day_at(offset)) for offset in (0, 3, 7)]
    days = {name_of(day_at(offset)) for offset in range(8)}
    assert present() == days | {"outbox_history_default"}
    assert maintain() == partitions.Maintained()


def test_a_new_partition_is_indexed_as_the_others_are() -> None:
    name = drop_partition(day_at(7))
    maintain()
    [[attached]] = store.run(
        "SELECT count(*) FROM pg_index JOIN pg_inherits ON inhrelid = indexrelid"
        " WHERE indrelid = %(name)s::regclass",
        name=name,
    )
    assert attached == 2


def test_days_whose_retention_is_over_are_dropped(settings: Any) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "HISTORY_DAYS": 3}
    names = [add_partition(day_at(-age)) for age in (5, 4, 3, 1)]
    done_on(day_at(-4))
    assert maintain().dropped == names[:2]
    assert present() >= set(names[2:])
    assert present().isdisjoint(names[:2])


def test_a_long_reader_is_not_waited_for(reader: Any) -> None:
    old = add_partition_beside(reader, day_at(-20))
    missing = name_of(day_at(7))
    started = time.monotonic()
    result = maintain()
    assert time.monotonic() - started < 1.0, "two tries of 100 ms each"
    assert sorted(result.postponed) == sorted([old, missing])
    assert (result.created, result.dropped) == ([], [])

    reader.rollback()
    result = maintain()
    assert (result.created, result.dropped, result.postponed) == ([missing], [old], [])


def add_partition_beside(reader: Any, old_day: date) -> str:
    """An old partition to drop and a missing one to make, with the reader in the way of both."""
    reader.rollback()
    old = add_partition(old_day)
    drop_partition(day_at(7))
    reader.cursor().execute("SELECT count(*) FROM outbox_history")
    return old


def test_a_lock_that_is_not_to_be_had_changes_nothing_else(reader: Any) -> None:
    add_partition_beside(reader, day_at(-20))
    maintain()
    [[loose]] = store.run("SELECT to_regclass(%(name)s)", name=name_of(day_at(7)))
    assert loose is None, "no table is left behind unattached"
    [[limit]] = store.run("SHOW lock_timeout")
    assert limit == "0"


def test_a_lock_that_is_held_for_too_long_is_given_up(
    reader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = add_partition_beside(reader, day_at(-20))
    monkeypatch.setattr(partitions, "LOCK_TIMEOUT", "20s")
    monkeypatch.setattr(partitions, "STATEMENT_TIMEOUT", "100ms")
    result = maintain()
    assert sorted(result.postponed) == sorted([old, name_of(day_at(7))])
    [[limit]] = store.run("SHOW statement_timeout")
    assert limit == "0"


def test_a_day_whose_rows_are_in_the_default_partition_is_not_locked_for(reader: Any) -> None:
    reader.rollback()
    blocked = drop_partition(day_at(5))
    done_on(day_at(5))
    reader.cursor().execute("SELECT count(*) FROM outbox_history")
    result = maintain()
    assert (result.blocked, result.postponed) == ([blocked], [])


def test_a_day_whose_rows_are_in_the_default_partition_stays_there() -> None:
    blocked, missing = drop_partition(day_at(5)), drop_partition(day_at(6))
    done_on(day_at(5))
    for _ in range(2):
        assert maintain().blocked == [blocked]
    assert missing in present()
    assert blocked not in present()
    assert in_default() == 1


def test_old_rows_of_the_default_partition_are_deleted_in_batches(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    settings.OUTBOX = {**settings.OUTBOX, "HISTORY_DAYS": 3}
    for age in (9, 8, 7, 5, 4, 3, 2):
        done_on(day_at(-age))
    assert in_default() == 7
    assert maintain().pruned == 5
    assert in_default() == 2


@pytest.mark.parametrize("act", [maintain, lambda: drop_partition(day_at(7))])
def test_a_done_message_lands_in_the_partition_of_its_day(act: Callable[[], object]) -> None:
    act()
    row = MessageFactory(state=State.DISPATCHED)
    store.complete(as_message(row), counted=False, token=None, taken_at=row.received_at)
    found = store.run(
        "SELECT tableoid::regclass::text, name FROM outbox_history,"
        " format('outbox_history_p%%s', to_char(done_at AT TIME ZONE 'UTC', 'YYYYMMDD')) AS name"
    )
    assert [home for home, _ in found] == [name for _, name in found]
    assert in_default() == 0


def test_a_missing_day_stops_no_task() -> None:
    for offset in (0, 1):
        drop_partition(day_at(offset))
    row = MessageFactory(state=State.DISPATCHED)
    store.complete(as_message(row), counted=False, token=None, taken_at=row.received_at)
    assert in_default() == 1
