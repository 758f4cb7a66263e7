"""What goes wrong with a group: each of its requests is answered in time, the next is stored."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
from django.db import InternalError, OperationalError, connection

from app import group_commit
from app.arrival import Arrival
from app.group import Group, Waiting
from app.group_commit import GroupCommit, store_arrival
from app.models import WebhookDelivery
from outbox.models import OutboxMessage
from outbox.side_connection import SideConnection
from tests.app.arrivals import (
    GATE,
    PATIENCE,
    Statements,
    arrival,
    at_once,
    behind_first,
    grouping,
    outcomes,
    queued,
    together,
)
from tests.gate import closed, wait_for_sessions_at
from tests.service import database_url
from tests.sql import query
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

INSERT = """
    INSERT INTO app_delivery (webhook_id, digest, message_id)
    VALUES (%s, sha256(''), gen_random_uuid())
"""


@pytest.fixture(autouse=True)
def _started(transactional_db: None) -> Iterator[None]:
    with grouping():
        yield


@contextmanager
def sessions_with(monkeypatch: pytest.MonkeyPatch, options: str) -> Iterator[None]:
    """Sessions that are opened inside have these options."""
    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict["OPTIONS"], "options", options)
        yield


@contextmanager
def failing(fault: str, *, times: int) -> Iterator[None]:
    """Have the server end the statements of groups with an error, but not the first delivery's."""
    query(
        "CREATE SEQUENCE faults; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN IF nextval('faults') <= {times} THEN RAISE EXCEPTION USING ERRCODE = '{fault}';"
        " END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER fail BEFORE INSERT ON app_delivery FOR EACH ROW"
        " WHEN (NEW.webhook_id <> 'first') EXECUTE FUNCTION fail()"
    )
    try:
        yield
    finally:
        query("DROP TRIGGER fail ON app_delivery; DROP FUNCTION fail(); DROP SEQUENCE faults")


def test_who_waits_too_long_for_a_lock_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    good = [arrival() for _ in range(9)]
    group_of_all = [*good[:4], arrival("held"), *good[4:]]
    holder = psycopg2.connect(database_url("default"))
    try:
        holder.cursor().execute(INSERT, ["held"])
        with sessions_with(monkeypatch, "-c lock_timeout=200ms"):
            found = together(*((store_arrival, each) for each in group_of_all))
    finally:
        holder.close()
    assert found[4] is OperationalError
    assert found[:4] + found[5:] == [each.acceptance for each in good]
    assert store_arrival(group_of_all[4]) == group_of_all[4].acceptance


def test_a_statement_that_takes_too_long_is_an_error_of_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with sessions_with(monkeypatch, "-c statement_timeout=100ms"), closed(GATE.key):
        assert at_the_same_time([arrival("first")]) == [OperationalError]


def test_a_killed_session_fails_its_group_at_once_and_the_next_is_stored() -> None:
    with at_once(4) as submit:
        with closed(GATE.key):
            first = submit(store_arrival, arrival("first"))
            [pid] = wait_for_sessions_at(GATE.key)
            later = [submit(store_arrival, arrival()) for _ in range(3)]
            queued(3)
            query("SELECT pg_terminate_backend(%s, 5000)", pid)
            assert outcomes([first]) == [OperationalError]
        assert [each.state for each in outcomes(later)] == ["pending"] * 3
    assert WebhookDelivery.objects.count() == OutboxMessage.objects.count() == 3


def test_a_session_that_was_killed_while_idle_costs_nobody_anything() -> None:
    store_arrival(arrival())
    query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE state = 'idle'"
        " AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    new = arrival()
    assert store_arrival(new) == new.acceptance


def test_a_primary_that_becomes_a_standby_is_left_for_the_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with sessions_with(monkeypatch, "-c default_transaction_read_only=on"):
        monkeypatch.setitem(connection.settings_dict["OPTIONS"], "target_session_attrs", "any")
        found = at_the_same_time([arrival() for _ in range(3)])
    assert found == [InternalError] * 3
    new = arrival()
    assert store_arrival(new) == new.acceptance


def at_the_same_time(arrivals: list[Arrival]) -> list[Any]:
    with at_once(len(arrivals)) as submit:
        return outcomes([submit(store_arrival, each) for each in arrivals])


def test_a_fault_of_all_is_found_by_one_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    statements = Statements(monkeypatch)
    of_four = [Waiting(arrival(), time.monotonic() + PATIENCE) for _ in range(4)]
    session = SideConnection()
    query("ALTER TABLE app_delivery RENAME TO away")
    try:
        Group(session).write(of_four)
    finally:
        session.close()
        query("ALTER TABLE away RENAME TO app_delivery")
    assert len(statements.seen) == 1
    for each in of_four:
        with pytest.raises(psycopg2.errors.UndefinedTable):
            each.wait(0)


@pytest.mark.parametrize("fault", ["deadlock_detected", "serialization_failure"])
def test_what_is_nobodys_fault_is_tried_again_with_the_whole_group(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = Statements(monkeypatch)
    arrivals = [arrival() for _ in range(4)]
    with failing(fault, times=2):
        found = together(*((store_arrival, each) for each in arrivals))
    assert found == [each.acceptance for each in arrivals]
    assert len(statements.seen) == 1 + 3  # the first delivery's, which comes before


def test_nobody_waits_for_longer_than_it_may_and_who_has_left_is_not_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(group_commit, "WAIT_SECONDS", 0.3)
    with at_once(3) as submit:
        with closed(GATE.key):
            first = submit(store_arrival, arrival("first"))
            wait_for_sessions_at(GATE.key)
            began = time.monotonic()
            late = [submit(store_arrival, arrival()) for _ in range(2)]
            assert outcomes([first, *late]) == [OperationalError] * 3
            assert time.monotonic() - began < 5
        monkeypatch.setattr(group_commit, "WAIT_SECONDS", 20.0)
        store_arrival(arrival("last"))
    stored = {row.webhook_id for row in WebhookDelivery.objects.all()}
    assert stored == {"first", "last"}


def test_a_stop_writes_what_waits_and_later_ones_write_for_themselves() -> None:
    with at_once(5) as submit:
        with behind_first(submit):
            waiting = [submit(store_arrival, arrival()) for _ in range(3)]
            queued(3)
            stopping = submit(group_commit.stop)
        assert [each.state for each in outcomes(waiting)] == ["pending"] * 3
        assert outcomes([stopping]) == [None]
        later = arrival()
        assert outcomes([submit(store_arrival, later)]) == [later.acceptance]


def test_what_comes_just_before_a_stop_is_written() -> None:
    stopping = GroupCommit()
    late = arrival()
    with at_once(1) as submit:
        waiting = submit(stopping.store, late)
        eventually(lambda: stopping._queue)
        stopping._stopping = True  # as `stop` does, before the thread has looked at the queue
        stopping.start()
        assert outcomes([waiting]) == [late.acceptance]
    stopping.stop()
    assert WebhookDelivery.objects.get().webhook_id == late.delivery.id


def test_of_a_group_that_is_given_up_no_part_is_written_by_itself_and_none_after_it() -> None:
    session = SideConnection()
    own = Group(session)
    group_of_all = [Waiting(arrival(each), time.monotonic() + PATIENCE) for each in (None, "first")]
    with at_once(1) as submit, closed(GATE.key):
        writing = submit(own.write, group_of_all)
        wait_for_sessions_at(GATE.key)
        own.cancel()
        assert outcomes([writing]) == [None]
    later = Waiting(arrival(), time.monotonic() + PATIENCE)
    own.write([later])
    session.close()
    with pytest.raises(psycopg2.OperationalError):
        later.wait(0)
    for each in group_of_all:
        with pytest.raises(psycopg2.errors.QueryCanceled):
            each.wait(0)
    assert not WebhookDelivery.objects.exists()
