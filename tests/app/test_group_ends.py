"""How the thread that commits groups waits, goes on after a fault, and ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from django.db import OperationalError, connection

from app import group, group_commit
from app.group import ANSWER_SECONDS, Group
from app.group_commit import store_arrival
from app.models import WebhookDelivery
from tests.app.arrivals import (
    GATE,
    Statements,
    arrival,
    at_once,
    committer,
    grouping,
    outcomes,
    together,
)
from tests.gate import closed, wait_for_sessions_at
from tests.service import database_url
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

HOLD = """
    INSERT INTO app_delivery (webhook_id, digest, message_id)
    SELECT id, sha256(''), gen_random_uuid() FROM unnest(%s) AS id
"""


@pytest.fixture(autouse=True)
def _started(transactional_db: None) -> Iterator[None]:
    with grouping():
        yield


def test_what_is_being_written_when_nobody_waits_any_more_is_given_up() -> None:
    thread = committer()._thread
    with at_once(1) as submit, closed(GATE.key):
        cut_off = submit(store_arrival, arrival("first"))
        wait_for_sessions_at(GATE.key)
        group_commit.stop()
        assert outcomes([cut_off]) == [OperationalError]
        # It ends while the gate is shut, sooner than an answer is given up for lost: nothing of it
        # can come through afterwards.
        eventually(lambda: not thread.is_alive(), ANSWER_SECONDS / 2)
    assert not WebhookDelivery.objects.exists()


def test_a_fault_of_ours_fails_its_group_and_the_next_is_stored(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("not foreseen")

    with monkeypatch.context() as patch:
        patch.setattr(Group, "write", broken)
        with pytest.raises(RuntimeError, match="its log tells why"):
            store_arrival(arrival())
    assert "not foreseen" in caplog.text
    new = arrival()
    assert store_arrival(new) == new.acceptance


def test_without_deliveries_it_sleeps() -> None:
    store_arrival(arrival())
    eventually(lambda: not committer()._something.is_set())


def test_parts_of_a_group_that_was_held_up_wait_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = connection.settings_dict["OPTIONS"]
    monkeypatch.setitem(options, "options", "-c lock_timeout=200ms")  # the session is not open yet
    held = [f"held {number}" for number in range(5)]
    holder = psycopg2.connect(database_url("default"))
    try:
        holder.cursor().execute(HOLD, [held])
        statements = Statements(monkeypatch)
        everyone = [arrival() for _ in range(20)] + [arrival(each) for each in held]
        found: list[Any] = together(*((store_arrival, each) for each in everyone))
    finally:
        holder.close()
    assert found[20:] == [OperationalError] * 5
    assert found[:20] == [each.acceptance for each in everyone[:20]]
    hurried = [each.startswith(group._HURRIED) for each in statements.seen]
    whole = hurried.index(True)  # the first delivery, alone, and the whole group
    assert whole == 2
    assert all(hurried[whole:])
