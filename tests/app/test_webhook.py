from __future__ import annotations

import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client, RequestFactory

from app import webhook
from app.models import Post, WebhookDelivery
from outbox.models import OutboxMessage
from tests.app.problems import problem_of
from tests.factories import SECRET, Delivery, event, signed_delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[Delivery], Any]

URL = "/webhooks/posts/"


def stored() -> tuple[int, int, int]:
    return (
        WebhookDelivery.objects.count(),
        Post.everything.count(),
        OutboxMessage.objects.count(),
    )


@pytest.mark.django_db
@pytest.mark.parametrize("event_type", ["post.created", "post.updated", "post.deleted"])
def test_a_signed_event_is_accepted_and_stored_whole(send: Send, event_type: str) -> None:
    delivery = signed_delivery(event(event_type, "42"), webhook_id="msg_1")
    response = send(delivery)
    assert response.status_code == 202
    assert response["Content-Type"] == "application/json"
    message = OutboxMessage.objects.get()
    assert response.json() == {
        "message_id": str(message.id),
        "state": "pending",
        "status_url": f"/messages/{message.id}/",
    }
    assert response["Location"] == f"/messages/{message.id}/"
    assert (message.event_type, message.state) == (event_type, "pending")
    ledger = WebhookDelivery.objects.get()
    assert (ledger.webhook_id, ledger.message_id) == ("msg_1", message.id)
    post = Post.everything.get()
    assert (post.source_id, post.source_timestamp) == ("42", None)
    assert not Post.objects.exists()


@pytest.mark.django_db
def test_the_same_delivery_again_gets_the_same_answer(send: Send) -> None:
    delivery = signed_delivery()
    first = send(delivery)
    OutboxMessage.objects.all().delete()  # it is done by now
    again = send(delivery)
    assert again.status_code == 202
    assert (again.content, again["Location"]) == (first.content, first["Location"])
    assert stored() == (1, 1, 0)


@pytest.mark.django_db
def test_a_retry_with_a_new_timestamp_and_another_secret_is_the_same_delivery(
    send: Send, settings: Any
) -> None:
    newer = "whsec_" + b64encode(bytes(40)).decode()
    settings.WEBHOOK_SECRETS = [newer, SECRET]
    content = event()
    first = send(signed_delivery(content, webhook_id="msg_1"))
    now = int(time.time()) + 5
    again = send(signed_delivery(content, webhook_id="msg_1", timestamp=now, secret=newer))
    assert first.content == again.content


@pytest.mark.parametrize("method", ["get", "head", "put", "delete", "options", "trace"])
def test_other_methods_are_refused_first_and_told_which_one_to_use(method: str) -> None:
    response = getattr(Client(), method)(URL)
    if method != "head":
        problem_of(response, 405)
    assert response.status_code == 405
    assert response["Allow"] == "POST"


def test_a_body_that_declares_to_be_too_large_is_not_read(settings: Any) -> None:
    settings.WEBHOOK_MAX_BODY_BYTES = 10
    request = RequestFactory().post(URL, b"x" * 11, content_type="application/json")
    request._stream = None  # type: ignore[assignment]  # reading it would raise
    problem_of(webhook.receive(request), 413)


def test_a_body_of_exactly_the_limit_gets_past_it(settings: Any, send: Send) -> None:
    delivery = signed_delivery(b"x" * 1000)
    settings.WEBHOOK_MAX_BODY_BYTES = 1000
    problem_of(send(delivery), 400)
    settings.WEBHOOK_MAX_BODY_BYTES = 999
    problem_of(send(delivery), 413)
