from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError
from django.test import Client

from outbox import status
from outbox.models import HistoryMessage, OutboxMessage
from tests.factories import Delivery, signed_delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[Delivery], Any]

UNKNOWN = "6f1dc0de-0000-4000-8000-000000000000"
KEYS = [
    "message_id",
    "event_type",
    "state",
    "attempts",
    "received_at",
    "ready_at",
    "dispatched_at",
    "done_at",
]


@pytest.mark.django_db
def test_an_accepted_delivery_can_be_followed_where_the_answer_says(send: Send) -> None:
    accepted = send(signed_delivery()).json()
    response = Client().get(accepted["status_url"])
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    answer = response.json()
    assert list(answer) == KEYS
    received = datetime.fromisoformat(answer.pop("received_at"))
    assert received.tzinfo == UTC
    assert answer == {
        "message_id": accepted["message_id"],
        "event_type": "post.created",
        "state": "pending",
        "attempts": 0,
        "ready_at": None,
        "dispatched_at": None,
        "done_at": None,
    }


@pytest.mark.django_db
def test_a_done_message_is_found_in_the_history() -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    done = HistoryMessage.objects.create(
        id=uuid.uuid4(),
        event_type="post.created",
        task="t",
        queue="q",
        attempts=1,
        sends=1,
        received_at=at,
        ready_at=at,
        dispatched_at=at,
        done_at=at,
    )
    answer = Client().get(f"/messages/{done.pk}/").json()
    assert (answer["state"], answer["done_at"]) == ("done", "2026-01-01T12:00:00Z")


@pytest.mark.django_db
def test_a_message_has_one_address_in_either_case_of_letters(send: Send) -> None:
    message_id = send(signed_delivery()).json()["message_id"]
    assert Client().get(f"/messages/{message_id.upper()}/").status_code == 200
    for other in (message_id.replace("-", ""), f"{{{message_id}}}", f"urn:uuid:{message_id}"):
        assert Client().get(f"/messages/{other}/").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize(
    "message_id", [str(uuid.UUID(int=1)), "1", "no-uuid", "%00", "%ff", "x" * 2000]
)
def test_what_is_not_there_is_a_problem(message_id: str) -> None:
    response = Client().get(f"/messages/{message_id}/")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    assert json.loads(response.content)["title"] == "Not Found"


def test_other_methods_are_refused() -> None:
    response = Client(enforce_csrf_checks=True).post(f"/messages/{uuid.uuid4()}/")
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")


@pytest.mark.django_db
def test_head_is_answered(send: Send) -> None:
    assert Client().head(send(signed_delivery()).json()["status_url"]).status_code == 200
    assert OutboxMessage.objects.count() == 1


def test_while_the_database_is_away_the_caller_is_asked_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(status, "lookup", away)
    response = Client().get(f"/messages/{uuid.uuid4()}/")
    assert response.status_code == 503
    assert response["Retry-After"]
