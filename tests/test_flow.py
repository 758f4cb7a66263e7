"""A delivery travels the whole path, on real parts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.burst import send_burst
from tests.service import Service, running
from tests.sql import count, query
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


@pytest.fixture
def service(transactional_db: None, tmp_path: Path) -> Iterator[Service]:
    with running(tmp_path) as service:
        yield service


def post(source_id: str, **data: Any) -> dict[str, Any]:
    fields = {"id": source_id, "title": "Grüße", "body": "a body " * 80, "categories": ["News"]}
    return {
        "type": "post.created",
        "timestamp": "2026-03-01T12:00:00+01:00",
        "data": {**fields, "tags": ["one", "two", "three"], **data},
    }


def test_a_delivery_is_answered_prepared_dispatched_and_done(service: Service) -> None:
    event = post("post-1")
    accepted = service.deliver(event, "msg_1")

    assert accepted.status == 202
    message_id = accepted.body["message_id"]
    assert accepted.body["state"] == "pending"
    assert accepted.headers["location"] == accepted.body["status_url"]
    path = accepted.headers["location"]
    done = eventually(lambda: _if_done(service, path), 30)
    assert done["message_id"] == message_id
    assert done["event_type"] == "post.created"
    assert done["received_at"] <= done["ready_at"] <= done["dispatched_at"] <= done["done_at"]

    # The same delivery again gets the same answer, and nothing more is stored.
    again = service.deliver(event, "msg_1")
    assert (again.status, again.body) == (202, accepted.body)

    expect_stored(message_id)


def expect_stored(message_id: str) -> None:
    """The whole state that one delivery leaves, by SQL."""
    assert query("SELECT count(*) FROM outbox_message") == [(0,)]
    assert query("SELECT id, sends, done_at > dispatched_at FROM outbox_history") == [
        (uuid.UUID(message_id), 1, True)
    ]
    assert query("SELECT count(*) FROM outbox_history_default") == [(0,)]
    assert query("SELECT webhook_id, message_id FROM app_delivery") == [
        ("msg_1", uuid.UUID(message_id))
    ]
    ((title, timestamp, deleted_at, found),) = query(
        "SELECT title, source_timestamp, deleted_at,"
        " search_vector @@ to_tsquery('simple', 'grüße & news & three & body') FROM app_post"
    )
    assert (title, timestamp.isoformat(), deleted_at, found) == (
        "Grüße",
        "2026-03-01T11:00:00+00:00",
        None,
        True,
    )
    assert query(
        "SELECT name FROM app_tag JOIN app_post_tags ON tag_id = app_tag.id ORDER BY name"
    ) == [("one",), ("three",), ("two",)]
    assert query(
        "SELECT name FROM app_category JOIN app_post_categories ON category_id = app_category.id"
    ) == [("News",)]


def _if_done(service: Service, path: str) -> dict[str, Any] | None:
    answer = service.ask("GET", path)
    assert answer.status == 200
    body: dict[str, Any] = answer.body
    return body if body["state"] == "done" else None


@pytest.mark.slow
@pytest.mark.amqp
def test_in_a_burst_of_2000_deliveries_each_is_done_and_nothing_is_sent_twice(
    service: Service,
) -> None:
    number = 2000
    assert send_burst(service, number) == [202] * number
    eventually(lambda: count("outbox_history") == number, 90)
    assert query("SELECT count(*), max(sends), max(attempts) FROM outbox_history") == [
        (number, 1, 0)
    ]
