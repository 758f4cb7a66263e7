from __future__ import annotations

import io
import logging
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory

from app import group_commit, proof, webhook
from outbox.models import OutboxMessage
from tests.app.problems import problem_of
from tests.factories import SECRET, Delivery, event, signed_delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[Delivery], Any]

URL = "/webhooks/posts/"


def test_every_missing_proof_gets_one_and_the_same_answer(send: Send, settings: Any) -> None:
    good = signed_delivery()
    stale = signed_delivery(timestamp=int(time.time()) - 301)
    ahead = signed_delivery(timestamp=int(time.time()) + 330)
    foreign = signed_delivery(secret="whsec_" + b64encode(bytes(32)).decode())
    without = [
        Delivery(good.body, {k: v for k, v in good.headers.items() if k != name})
        for name in good.headers
    ]
    changed = [
        Delivery(good.body + b" ", good.headers),
        Delivery(good.body, good.headers | {"webhook-id": "other"}),
        Delivery(good.body, good.headers | {"webhook-id": "x" * 300}),
        Delivery(good.body, good.headers | {"webhook-timestamp": "9" * 1000}),
        Delivery(good.body, good.headers | {"webhook-signature": "v1,\xff\xfe"}),
        Delivery(good.body, good.headers | {"webhook-signature": "v1," + "A" * 100_000}),
    ]
    responses = [send(d) for d in [stale, ahead, foreign, *without, *changed]]
    settings.WEBHOOK_SECRETS = []
    responses.append(send(good))
    settings.WEBHOOK_SECRETS = ["not a secret"]
    responses.append(send(good))
    for response in responses:
        problem_of(response, 401)
        assert response["WWW-Authenticate"]
    assert len({response.content for response in responses}) == 1


def test_a_malformed_secret_does_not_stop_the_others_and_is_not_logged(
    send: Send, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.WEBHOOK_SECRETS = ["whsec_mangled", SECRET]
    proof._keys.cache_clear()
    with caplog.at_level(logging.ERROR):
        problem_of(send(signed_delivery(b"no json")), 400)
    assert "number 1" in caplog.text
    assert "mangled" not in caplog.text


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, identity", "identity, gzip", "?"])
def test_a_compressed_body_is_refused_and_told_what_to_do(coding: str) -> None:
    request = signed_delivery().request
    request["headers"] = request["headers"] | {"Content-Encoding": coding}
    response = Client().post(URL, **request)
    assert problem_of(response, 415)["type"].endswith(":content-coding")
    assert response["Accept-Encoding"] == "identity"


@pytest.mark.django_db
def test_unknown_fields_are_ignored_or_refused_as_the_setting_says(
    send: Send, settings: Any
) -> None:
    content = event(later=1)
    assert send(signed_delivery(content)).status_code == 202
    settings.WEBHOOK_UNKNOWN_FIELDS = "refuse"
    document = problem_of(send(signed_delivery(content)), 422)
    assert [error["pointer"] for error in document["errors"]] == ["/data/later"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "timestamp", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"], ids=["first", "last"]
)
def test_the_edges_of_time_and_of_unicode_can_be_stored(send: Send, timestamp: str) -> None:
    text = "\U0010ffff\ufffe\u202e\r\n\x01'\"\\%s"
    content = event(source_id=text, title=text, body=text, categories=[text], tags=[text])
    response = send(signed_delivery(content | {"timestamp": timestamp}))
    assert response.status_code == 202
    payload = OutboxMessage.objects.get(pk=UUID(response.json()["message_id"])).payload
    assert payload["title"] == text


def test_while_the_database_is_away_the_sender_is_asked_to_come_back(
    send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(group_commit, "store_arrival", away)
    response = send(signed_delivery())
    document = problem_of(response, 503)
    assert int(response["Retry-After"]) > 0
    assert "server closed" not in document["detail"]


def test_a_body_cut_off_by_the_sender_is_an_answer_and_no_error() -> None:
    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise OSError("connection reset by peer")

    request = RequestFactory().post(URL, b"{}", content_type="application/json")
    request._stream = Broken()  # type: ignore[assignment]
    problem_of(webhook.receive(request), 400)
