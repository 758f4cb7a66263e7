"""The way of a webhook from the outbox to its receiver."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import outbox
import pytest
from celery.exceptions import Retry
from django.conf import settings
from django.utils import timezone
from outbox.models import HistoryMessage, OutboxMessage
from outbox.testing import drain
from rest_framework.test import APIClient
from standardwebhooks import Webhook

from blog.tasks import notify
from blog.webhook import LONGEST_WAIT
from tests.receiver import Receiver

pytestmark = pytest.mark.django_db


def test_a_webhook_is_delivered_signed_under_the_id_of_its_message(
    api: APIClient, receiver: Receiver
) -> None:
    answer = api.post("/posts/", {"title": "Grüße 👋"}, format="json")

    assert drain() == 1
    (request,) = receiver.requests
    assert str(request.url) == settings.WEBHOOK_URL
    assert request.headers["webhook-id"] == answer.headers["Webhook-Id"]
    assert request.headers["content-type"] == "application/json"
    event = Webhook(settings.WEBHOOK_SECRET).verify(request.content, dict(request.headers))
    assert event["data"]["title"] == "Grüße 👋"
    assert HistoryMessage.objects.get().attempts == 0


@pytest.mark.parametrize(
    "trouble", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.Response(500)]
)
def test_a_later_try_sends_the_same_bytes_under_the_same_id(
    api: APIClient, receiver: Receiver, trouble: httpx.Response | Exception
) -> None:
    api.post("/posts/", {"title": "first"}, format="json")
    path = f"/posts/{json.loads(OutboxMessage.objects.get().payload['body'])['data']['id']}/"
    receiver.answers = [trouble]
    with pytest.raises(Retry):
        drain()
    api.patch(path, {"title": "second"}, format="json")

    assert drain() == 2
    first, *later = receiver.requests
    again = [each for each in later if each.headers["webhook-id"] == first.headers["webhook-id"]]
    assert [each.content for each in again] == [first.content]


@pytest.mark.parametrize("status", [400, 401, 409, 413, 422, 301])
def test_what_the_receiver_refuses_is_dead_at_once_with_the_answer(
    api: APIClient, receiver: Receiver, status: int
) -> None:
    api.post("/posts/", {"title": "first"}, format="json")
    receiver.answers = [httpx.Response(status, text="no, thanks")]

    with pytest.raises(outbox.Permanent):
        drain()

    message = OutboxMessage.objects.get()
    assert message.state == "dead"
    assert f"answered {status}: no, thanks" in message.last_error


def test_the_last_try_comes_while_the_receiver_expects_one() -> None:
    """In 76 hours, the default of its WEBHOOK_RETRY_HOURS, however long it asks us to wait."""
    assert isinstance(notify.backoff, outbox.Backoff)
    wait = max(notify.backoff.cap, LONGEST_WAIT)
    tries, each = notify.max_attempts or 0, notify.time_limit or 0
    longest = (tries - 1) * wait + tries * each
    assert 70 * 3600 < longest <= 76 * 3600


def date_in(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("status", [408, 429, 503])
@pytest.mark.parametrize(
    ("header", "least", "most"),
    [("120", 110, 120), (date_in(900), 600, 900), ("86400", 3500, 3600), ("soon", -1, 2)],
)
def test_a_receiver_that_asks_for_time_gets_it(
    api: APIClient, receiver: Receiver, status: int, header: str, least: int, most: int
) -> None:
    api.post("/posts/", {"title": "first"}, format="json")
    receiver.answers = [httpx.Response(status, headers={"retry-after": header})]

    with pytest.raises(Retry):
        drain()

    message = OutboxMessage.objects.get()
    assert message.state == "ready"
    # The time of a test's transaction stands still; a slow machine makes the wait look shorter.
    assert least - 60 < (message.due_at - timezone.now()).total_seconds() <= most
