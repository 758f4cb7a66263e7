"""Deliveries that come at once are written together, and each gets an answer of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection

from app import group_commit
from app.group_commit import GroupCommit, store_arrival
from app.ledger import OtherBody
from app.models import DeliveryConflict, Post, WebhookDelivery
from outbox.models import OutboxMessage
from outbox.store import PENDING_CHANNEL
from tests.app.arrivals import (
    Statements,
    arrival,
    at_once,
    committer,
    grouping,
    outcomes,
    take_in,
    together,
)
from tests.sql import query
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.fixture(autouse=True)
def _started(transactional_db: None) -> Iterator[None]:
    with grouping():
        yield


def test_what_comes_while_a_commit_is_under_way_is_one_statement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    statements = Statements(monkeypatch)
    arrivals = [arrival(source_id=f"post-{n % 7}") for n in range(30)]
    found = together(*((store_arrival, each) for each in arrivals))
    assert found == [each.acceptance for each in arrivals]
    assert len(statements.seen) == 2
    stored = {message.pk for message in OutboxMessage.objects.all()}
    assert stored > {each.draft.id for each in arrivals}
    assert len(stored) == WebhookDelivery.objects.count() == 31
    assert Post.everything.count() == 7


def test_a_group_is_no_larger_than_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "GROUP_ROWS", 4)
    small = [arrival() for _ in range(5)]
    large = [arrival(payload='{"title": "%s"}' % ("x" * 1_000)) for _ in range(3)]
    monkeypatch.setattr(group_commit, "GROUP_BYTES", large[0].size + small[0].size)
    statements = Statements(monkeypatch)
    found = together(*((store_arrival, each) for each in [*small, *large]))
    assert found == [each.acceptance for each in [*small, *large]]
    assert len(statements.seen) == 1 + 4  # four, one and a large one, and the two others


def test_the_rows_tell_what_was_accepted() -> None:
    new = arrival()
    store_arrival(new)
    row, message = WebhookDelivery.objects.get(), OutboxMessage.objects.get()
    assert (row.webhook_id, row.endpoint, row.key) == (new.delivery.id, "/webhooks/posts/", "key")
    assert (bytes(row.digest).hex(), row.message_id) == (new.digest, message.pk)
    assert row.state == message.state == "pending"
    assert (message.pk, message.event_type, message.task, message.queue) == new.draft[:4]
    assert message.payload["source_id"] == Post.everything.get().source_id == "post-1"


def test_whoever_listens_is_woken_after_the_commit() -> None:
    query(f"LISTEN {PENDING_CHANNEL}")
    try:
        store_arrival(arrival())

        def woken() -> list[Any]:
            query("SELECT 1")  # reads what has come
            return list(connection.connection.notifies)

        eventually(woken)
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ('{"title": "\\u0000"}', DataError),  # which no parser of ours lets come so far
        ("[]", IntegrityError),
        ('{"title": "\0"}', ValueError),
    ],
)
def test_what_cannot_be_stored_fails_alone(payload: str, error: type[Exception]) -> None:
    good, bad = [arrival() for _ in range(9)], [arrival(payload=payload) for _ in range(2)]
    found = together(*((store_arrival, each) for each in [*good[:4], *bad, *good[4:]]))
    assert found[4:6] == [error] * 2
    assert found[:4] + found[6:] == [each.acceptance for each in good]
    assert WebhookDelivery.objects.count() == OutboxMessage.objects.count() == 10


def test_of_equal_ids_in_a_group_one_is_stored_and_the_others_are_told_of_it() -> None:
    calls = (take_in, "msg_1"), (take_in, "msg_1"), (take_in, "msg_1", "post.updated", "post-2")
    one, same, other = together(*calls)
    assert one == same
    assert (one.duplicate, same.duplicate) == (False, True)
    assert other is OtherBody
    assert DeliveryConflict.objects.get().message_id == one.message_id
    assert WebhookDelivery.objects.count() == OutboxMessage.objects.count() == 2
    assert Post.everything.count() == 1


def test_known_and_new_ones_of_a_group_get_their_answers() -> None:
    known = take_in("msg_1")
    new, again = together((take_in, "msg_2"), (take_in, "msg_1"))
    assert (again.duplicate, again.message_id) == (True, known.message_id)
    assert not new.duplicate
    assert WebhookDelivery.objects.count() == OutboxMessage.objects.count() == 3


def test_a_post_that_somebody_is_writing_holds_up_nobody() -> None:
    take_in("msg_1")
    query("BEGIN; UPDATE app_post SET title = 'x'")
    try:
        with at_once(1) as submit:
            assert outcomes([submit(take_in, "msg_2")])[0].duplicate is False
    finally:
        query("ROLLBACK")


def test_processes_with_the_same_ids_and_posts_do_not_wait_for_each_other_in_a_circle() -> None:
    other = GroupCommit()
    other.start()
    [(before,)] = query(DEADLOCKS)
    with at_once(40) as submit:
        futures = []
        for turn in range(15):
            names = [f"{turn}-{n}" for n in range(20)]
            for own, order in ((committer(), names), (other, names[::-1])):
                futures += [submit(own.store, arrival(name, f"post-{name}")) for name in order]
        found = outcomes(futures)
    other.stop()
    assert not [each for each in found if isinstance(each, type)]
    assert WebhookDelivery.objects.count() == OutboxMessage.objects.count() == 300
    query("SELECT pg_stat_clear_snapshot()")
    assert query(DEADLOCKS) == [(before,)]
