"""What waits for the disk when it commits, and what need not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from outbox import database, store
from outbox.consumer import consume
from outbox.declaration import Task
from outbox.message import Draft
from outbox.registry import AllowedTasks
from outbox.states import State
from tests.conftest import Declare
from tests.message_factory import TASK, MessageFactory
from tests.sql import query

ALLOWED = AllowedTasks((TASK, "tests.confirm"), ())
TYPES = ["thing.happened"]

# Deferred: it tells what holds at the commit.
NOTE = """
CREATE TABLE noted (what text, how text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO noted VALUES (TG_OP, current_setting('synchronous_commit'));
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON outbox_message
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();
"""
FORGET = """
DROP TRIGGER note ON outbox_message; DROP FUNCTION note(); DROP TABLE noted;
"""


@pytest.fixture(autouse=True)
def noting(transactional_db: None) -> Iterator[None]:
    query(NOTE)
    yield
    query(FORGET)


def noted() -> set[tuple[str, str]]:
    """What was written since the last look, and how it was committed."""
    return {(what, how) for what, how in query("DELETE FROM noted RETURNING what, how")}


@pytest.fixture
def task(declare: Declare) -> Task[Any]:
    @declare("order.placed", name="tests.confirm")
    def confirm(order_id: int) -> None:
        """Leave no effect."""

    return confirm


def claimed() -> store.Message:
    [message] = store.claim_ready({"celery": 1}, ALLOWED)
    return message


def test_the_relay_does_not_wait_for_the_disk() -> None:
    MessageFactory()
    noted()
    message = claimed()
    assert noted() == {("UPDATE", "off")}
    store.mark_dispatched([message])
    assert noted() == {("UPDATE", "off")}


def test_a_claim_that_is_given_back_does_not_either() -> None:
    MessageFactory()
    message = claimed()
    noted()
    assert store.release([message], unsent=True)
    assert noted() == {("UPDATE", "off")}


def test_what_is_accepted_is_on_the_disk(task: Task[Any]) -> None:
    claim_nothing()
    with transaction.atomic():
        task.enqueue(order_id=7)
    assert noted() == {("INSERT", "on")}
    draft = Draft(uuid.uuid4(), "thing.happened", TASK, "celery", "{}", State.READY)
    accepted = "accepted AS (SELECT %(own)s::uuid AS message_id)"
    assert store.add_accepted(
        accepted, [draft], lambda sql, values: store.run(sql, **values), own=draft.id
    )
    assert noted() == {("INSERT", "on")}


def test_what_is_prepared_is_on_the_disk() -> None:
    MessageFactory(state=State.PENDING)
    [message] = store.claim_pending(TYPES, limit=1)
    assert ("UPDATE", "off") in noted()
    with transaction.atomic():
        store.hold([message])
        store.mark_ready([message])
    assert noted() == {("UPDATE", "on")}


def test_a_receipt_is_on_the_disk(task: Task[Any]) -> None:
    with transaction.atomic():
        task.enqueue(order_id=7)
    message = claimed()
    store.mark_dispatched([message])
    noted()
    assert consume(task, message.id, again=False) == "done"
    assert noted() == {("DELETE", "on")}


def test_inside_a_transaction_a_claim_leaves_the_commit_as_it_is() -> None:
    MessageFactory()
    noted()
    with transaction.atomic():
        claimed()
        assert query("SHOW enable_sort") == [("on",)]
    assert noted() == {("UPDATE", "on")}


def test_nor_does_it_where_somebody_else_commits() -> None:
    connection.set_autocommit(False)
    try:
        claim_nothing()
        assert query("SHOW synchronous_commit") == [("on",)]
    finally:
        connection.rollback()
        connection.set_autocommit(True)


def test_nothing_of_it_stays_in_the_session() -> None:
    claim_nothing()
    assert query("SHOW synchronous_commit") == [("on",)]
    assert query("SHOW enable_sort") == [("on",)]
    assert database.run_alone("SHOW synchronous_commit") == [("off",)]


def claim_nothing() -> None:
    assert store.claim_ready({"celery": 1}, ALLOWED) == []
