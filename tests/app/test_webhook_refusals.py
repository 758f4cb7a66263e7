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

from app import ledger, proof, webhook
from outbox.models import OutboxMessage
from tests.app.problems import problem_of
from tests.factories import SECRET, Delivery, event, signed_delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[Delivery], Any]

URL = "/webhooks/posts/"
DELETION = b'{"type":"post.deleted","timestamp":"%s","data":{"id":"%s"}}'


def test_every_missing_proof_gets_one_and_the_same_answer(send: Send, settings: Any) -> None:
    good = signed_delivery()
    stale = signed_delivery(timestamp=int(time.time()) - 301)
    ahead = signed_delivery(timestamp=int(time.time()) + 301)
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


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_another_content_type_is_refused_after_the_signature(content_type: str) -> None:
    delivery = signed_delivery()
    request = delivery.request | {"content_type": content_type}
    problem_of(Client().post(URL, **request), 415)
    request["headers"] = {}
    problem_of(Client().post(URL, **request), 401)


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, identity", "identity, gzip", "?"])
def test_a_compressed_body_is_refused_and_told_what_to_do(coding: str) -> None:
    request = signed_delivery().request
    request["headers"] = request["headers"] | {"Content-Encoding": coding}
    response = Client().post(URL, **request)
    assert problem_of(response, 415)["type"].endswith(":content-coding")
    assert response["Accept-Encoding"] == "identity"


@pytest.mark.django_db
def test_a_body_that_is_said_not_to_be_compressed_is_taken() -> None:
    request = signed_delivery().request
    request["headers"] = request["headers"] | {"Content-Encoding": "Identity"}
    assert Client().post(URL, **request).status_code == 202


@pytest.mark.django_db
def test_parameters_of_the_content_type_do_not_matter() -> None:
    request = signed_delivery().request | {"content_type": "Application/JSON; charset=utf-8"}
    assert Client().post(URL, **request).status_code == 202


def test_malformed_json_is_told_from_json_that_is_not_valid(send: Send) -> None:
    assert "errors" not in problem_of(send(signed_delivery(b"{")), 400)
    document = problem_of(send(signed_delivery(event(tags=["ok", ""]))), 422)
    assert [error["pointer"] for error in document["errors"]] == ["/data/tags/1"]
    assert all(error["detail"] for error in document["errors"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b" ", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"a":' * 100_000, 400),
        (b"1" * 10_000, 400),
        (b'{"type":"post.created","type":"post.created"}', 400),
        (b"1e999", 422),
        (b"null", 422),
        (
            b'{"type":"post.deleted","timestamp":"2026-01-01T00:00:00Z","data":{"id":"\\u0000"}}',
            422,
        ),
        (
            b'{"type":"post.deleted","timestamp":"2026-01-01T00:00:00Z","data":{"id":"\\ud800"}}',
            422,
        ),
        (b'{"type":"post.deleted","timestamp":"9999-12-31T23:59:59-01:00","data":{"id":"1"}}', 422),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_hostile_bodies_with_a_good_signature_get_an_answer(
    send: Send, body: bytes, status: int
) -> None:
    problem_of(send(signed_delivery(body)), status)


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

    monkeypatch.setattr(ledger, "_store", away)
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
