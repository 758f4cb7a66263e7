"""Old rows leave in batches, by the database's clock, and in nobody's way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection

from outbox import pruning, store
from outbox.pruning import prune, prune_before

TABLE = "pruned things"
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def table(database: None) -> Iterator[None]:
    """A table with an index on a time; both of their names have to be quoted."""
    store.run(f'CREATE TABLE "{TABLE}" (id int, "Seen at" timestamptz)')
    store.run(f'CREATE INDEX ON "{TABLE}" ("Seen at")')
    yield
    store.run(f'DROP TABLE "{TABLE}"')


def add(*ages: str) -> None:
    """Rows that are so old; their ids count from 1."""
    store.run(
        f'INSERT INTO "{TABLE}" SELECT n, now() - age::interval'
        " FROM unnest(%(ages)s) WITH ORDINALITY AS given (age, n)",
        ages=list(ages),
    )


def left() -> list[int]:
    return [row[0] for row in store.run(f'SELECT id FROM "{TABLE}" ORDER BY id')]


def test_rows_beyond_the_age_go_and_the_others_stay() -> None:
    add("2 days", "1 day 1 minute", "23 hours 59 minutes", "0", "-1 day")
    store.run(f'INSERT INTO "{TABLE}" VALUES (6, NULL)')
    assert prune(TABLE, "Seen at", older_than=DAY) == 2
    assert left() == [3, 4, 5, 6]


@pytest.mark.parametrize("rows", [0, 1, 5, 6, 7])
def test_batches_of_any_size_add_up(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(pruning, "BATCH", 3)
    add(*["2 days"] * rows, "0")
    assert prune(TABLE, "Seen at", older_than=DAY) == rows
    assert left() == [rows + 1]


def test_each_batch_is_committed_before_the_next(
    monkeypatch: pytest.MonkeyPatch, connect: Callable[[], Any]
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    add(*["2 days"] * 5)
    seen, run = [], pruning.run
    other = connect().cursor()

    def watched(statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        if "DELETE" in statement:
            other.execute(f'SELECT count(*) FROM "{TABLE}"')
            seen.append(other.fetchone()[0])
        return run(statement, **parameters)

    monkeypatch.setattr(pruning, "run", watched)
    assert prune_before(TABLE, "Seen at", "infinity") == 5
    assert seen == [5, 3, 1]


def test_a_row_that_another_holds_is_left_for_the_next_run(connect: Callable[[], Any]) -> None:
    add("3 days", "2 days", "2 days")
    holder = connect()
    holder.autocommit = False
    holder.cursor().execute(f'SELECT FROM "{TABLE}" WHERE id = 1 FOR UPDATE')
    assert prune(TABLE, "Seen at", older_than=DAY) == 2
    assert left() == [1]
    holder.rollback()
    assert prune(TABLE, "Seen at", older_than=DAY) == 1


def test_a_row_that_has_become_young_meanwhile_stays(connect: Callable[[], Any]) -> None:
    """Its old version is what the index finds first."""
    add("3 days")
    store.run(f'UPDATE "{TABLE}" SET "Seen at" = now()')
    assert prune(TABLE, "Seen at", older_than=DAY) == 0
    assert left() == [1]


def test_a_change_of_the_table_is_waited_for_only_for_a_while(
    monkeypatch: pytest.MonkeyPatch, connect: Callable[[], Any]
) -> None:
    monkeypatch.setattr(pruning, "LOCK_TIMEOUT", "50ms")
    add("3 days")
    holder = connect()
    holder.autocommit = False
    holder.cursor().execute(f'LOCK TABLE "{TABLE}"')
    with pytest.raises(OperationalError, match="lock timeout"):
        prune(TABLE, "Seen at", older_than=DAY)
    holder.rollback()
    assert prune(TABLE, "Seen at", older_than=DAY) == 1
    [[limit]] = store.run("SHOW lock_timeout")
    assert limit == "0", "the limit went with its transaction"


def test_a_statement_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "STATEMENT_TIMEOUT", "50ms")
    monkeypatch.setattr(
        pruning, "DELETE_BATCH", "SELECT 0, pg_sleep(20) FROM {table} WHERE {column} < now()"
    )
    add("3 days")
    with pytest.raises(OperationalError, match="statement timeout"):
        prune(TABLE, "Seen at", older_than=DAY)


def test_a_run_ends_in_time_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pruning, "BATCH", 2)
    monkeypatch.setattr(pruning, "LIMIT_SECONDS", -1.0)
    add(*["2 days"] * 5)
    with caplog.at_level("INFO", logger="outbox.pruning"):
        assert [prune(TABLE, "Seen at", older_than=DAY) for _ in range(4)] == [2, 2, 1, 0]
    assert [TABLE in each.getMessage() for each in caplog.records] == [True, True]


@pytest.mark.parametrize("kind", ["PARTITION OF parted DEFAULT", "() INHERITS (parted)"])
def test_a_table_in_parts_is_refused_and_a_part_of_it_is_not(kind: str) -> None:
    """A row's place, by which it is deleted, is another row's in another part."""
    partitioned = "PARTITION BY LIST (id)" if kind.startswith("PARTITION") else ""
    store.run(
        f"CREATE TABLE parted (id int, at timestamptz) {partitioned};"
        f"CREATE TABLE part {kind};"
        "INSERT INTO part VALUES (1, now() - interval '2 days'), (2, now())"
    )
    try:
        with pytest.raises(ValueError, match="parted has partitions"):
            prune("parted", "at", older_than=DAY)
        assert prune("part", "at", older_than=DAY) == 1
        assert store.run("SELECT id FROM parted") == [(2,)]
    finally:
        store.run("DROP TABLE parted CASCADE")


def test_inside_a_transaction_it_refuses_to_work() -> None:
    from django.db import transaction

    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        prune(TABLE, "Seen at", older_than=DAY)
    assert connection.get_autocommit()
