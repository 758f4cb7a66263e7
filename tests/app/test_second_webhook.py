"""A webhook and an event type of a user's own: one file of theirs, and none of ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client

from app.models import Category, Tag, WebhookDelivery
from app.strict_json import Malformed, storable_json
from outbox.models import OutboxMessage
from outbox.testing import drain
from tests.app.problems import problem_of
from tests.conftest import Declare
from tests.factories import Delivery, event, signed_delivery

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.app.second_webhook")]
MODULE = "tests.app.second_webhook"


@pytest.fixture(autouse=True)
def mine(declare: Declare, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The user's file, imported for one test: its task goes out of the registry after it."""
    monkeypatch.setattr("outbox.task", declare)
    sys.modules.pop(MODULE, None)
    yield import_module(MODULE)
    sys.modules.pop(MODULE, None)


def post(delivery: Delivery, url: str = "/webhooks/tags/") -> Any:
    return Client().post(url, **delivery.request)


def test_a_delivery_is_stored_answered_and_worked() -> None:
    response = post(signed_delivery({"name": "blue"}, webhook_id="msg_1"))
    message = OutboxMessage.objects.get()
    assert response.status_code == 202
    assert response.json() == {
        "message_id": str(message.pk),
        "state": "ready",
        "status_url": f"/messages/{message.pk}/",
    }
    assert response["Location"] == f"/messages/{message.pk}/"
    assert (message.event_type, message.payload) == ("tag.renamed", {"name": "blue"})
    assert Tag.objects.get().name == "blue"
    assert WebhookDelivery.objects.get().message_id == message.pk

    assert drain() == 1
    assert Category.objects.get().name == "announced blue"


def test_a_duplicate_gets_the_same_answer_and_stores_nothing() -> None:
    """`store` would fail the second time: names of tags are unique."""
    delivery = signed_delivery({"name": "blue"})
    first = post(delivery)
    drain()
    again = post(delivery)
    assert (again.status_code, again.content) == (202, first.content)
    assert again["Location"] == first["Location"]
    assert Tag.objects.count() == 1


def test_an_id_is_unique_across_all_endpoints() -> None:
    assert post(signed_delivery(webhook_id="msg_1"), "/webhooks/posts/").status_code == 202
    problem_of(post(signed_delivery({"name": "blue"}, webhook_id="msg_1")), 409)
    assert not Tag.objects.exists()


def test_the_checks_are_those_of_every_webhook_in_their_order() -> None:
    good = signed_delivery({"name": "blue"})
    problem_of(Client().get("/webhooks/tags/"), 405)
    problem_of(post(Delivery(b"x" * 2_000_000, good.headers)), 413)
    problem_of(post(Delivery(b"{", good.headers)), 401)
    problem_of(Client().post("/webhooks/tags/", **good.request | {"content_type": "a/b"}), 415)
    problem_of(post(signed_delivery(b"{")), 400)
    document = problem_of(post(signed_delivery({"name": ""})), 422)
    assert document["errors"] == [{"pointer": "/name", "detail": "Expected a text."}]
    assert not WebhookDelivery.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"name": "a\\u0000b"}', "/name"),
        (b'{"deep": [{"er": "\\ud800"}]}', "/deep/0/er"),
        (b'{"a/b~": {"\\u0000": 1}}', "/a~1b~0"),
    ],
)
def test_text_that_postgresql_cannot_store_is_answered(body: bytes, pointer: str) -> None:
    document = problem_of(post(signed_delivery(body)), 422)
    assert [error["pointer"] for error in document["errors"]] == [pointer]


def test_json_is_read_whole_and_strictly() -> None:
    assert storable_json('{"größe": [1, null, "ä"]}'.encode()) == {"größe": [1, None, "ä"]}
    for body in (b'{"a": 1, "a": 2}', b"NaN", b"\xff", b"[" * 100_000):
        with pytest.raises(Malformed):
            storable_json(body)


def test_an_endpoint_may_have_secrets_of_its_own(mine: Any) -> None:
    theirs = signed_delivery({"name": "blue"}, secret=mine.PARTNER_SECRET)
    problem_of(post(theirs), 401)
    problem_of(post(signed_delivery({"name": "blue"}), "/webhooks/partner/"), 401)
    assert post(theirs, "/webhooks/partner/").status_code == 202


def test_what_a_store_raises_undoes_the_delivery() -> None:
    Tag.objects.create(name="blue")
    delivery = signed_delivery({"name": "blue"})
    with pytest.raises(IntegrityError):
        post(delivery)
    assert not WebhookDelivery.objects.exists()
    Tag.objects.all().delete()
    assert post(delivery).status_code == 202, "the sender's next try gets in"


def test_a_store_that_forgets_to_return_its_message_is_told(
    mine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(delivery: Any) -> None:
        mine.announce.enqueue(name="blue")

    monkeypatch.setattr(mine, "store_tag", forgetful)
    with pytest.raises(TypeError, match=r"forgetful.*must return the message"):
        post(signed_delivery({"name": "blue"}))
    assert not WebhookDelivery.objects.exists()
    assert not OutboxMessage.objects.exists()


def test_the_webhook_of_posts_works_beside_it() -> None:
    response = post(signed_delivery(event()), "/webhooks/posts/")
    assert (response.status_code, response.json()["state"]) == (202, "pending")
