"""A webhook and an event type of a user's own: one file of theirs, and none of ours."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.test import Client

from app.models import Category, DeliveryConflict, Tag, WebhookDelivery
from app.strict_json import Invalid, Malformed, storable_json
from outbox.models import HistoryMessage, OutboxMessage
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
    delivery = signed_delivery({"name": "blue"})
    first = post(delivery)
    drain()
    again = post(delivery)
    assert (again.status_code, again.content) == (202, first.content)
    assert again["Location"] == first["Location"]
    assert Tag.objects.count() == HistoryMessage.objects.count() == 1
    assert not OutboxMessage.objects.exists()


def test_an_id_is_unique_across_all_endpoints() -> None:
    assert post(signed_delivery(webhook_id="msg_1"), "/webhooks/posts/").status_code == 202
    problem_of(post(signed_delivery({"name": "blue"}, webhook_id="msg_1")), 409)
    assert not Tag.objects.exists()


def test_a_delivery_that_another_endpoint_has_accepted_is_not_answered_as_if_it_were_stored(
    settings: Any, mine: Any
) -> None:
    settings.WEBHOOK_SECRETS = [mine.PARTNER_SECRET]
    delivery = signed_delivery({"name": "blue"}, secret=mine.PARTNER_SECRET)
    first = post(delivery)
    document = problem_of(post(delivery, "/webhooks/partner/"), 409)
    assert "another endpoint" in document["detail"]
    assert WebhookDelivery.objects.get().endpoint == "/webhooks/tags/"
    again = post(delivery)
    assert (again.status_code, again.content) == (202, first.content)
    conflict = DeliveryConflict.objects.get()
    assert (conflict.accepted_endpoint, conflict.endpoint) == (
        "/webhooks/tags/",
        "/webhooks/partner/",
    )
    assert bytes(conflict.accepted_digest) == bytes(conflict.digest)


def test_a_delivery_of_the_version_before_is_a_duplicate_at_each_endpoint() -> None:
    delivery = signed_delivery({"name": "blue"})
    first = post(delivery)
    WebhookDelivery.objects.update(endpoint="")
    again = post(delivery)
    assert (again.status_code, again.content) == (202, first.content)


@pytest.mark.parametrize("path", ["a%00b", "%ff", "%F0%9F%90%A6", "a b"])
def test_an_endpoint_may_have_any_path(path: str) -> None:
    delivery = signed_delivery({"name": "blue"})
    assert post(delivery, f"/webhooks/of/{path}/").status_code == 202
    assert post(delivery, f"/webhooks/of/{path}/").status_code == 202
    problem_of(post(delivery, "/webhooks/of/another/"), 409)


def test_the_checks_are_those_of_every_webhook_in_their_order() -> None:
    good = signed_delivery({"name": "blue"})
    problem_of(Client().get("/webhooks/tags/"), 405)
    problem_of(post(Delivery(b"x" * 2_000_000, good.headers)), 413)
    problem_of(post(Delivery(b"{", good.headers)), 401)
    problem_of(Client().post("/webhooks/tags/", **good.request | {"content_type": "a/b"}), 415)
    problem_of(post(signed_delivery(b"{")), 400)
    for content in ({"name": ""}, {"name": "x" * 101}, {"name": 1}, b'["blue"]'):
        [error] = problem_of(post(signed_delivery(content)), 422)["errors"]
        assert error == {"pointer": "/name", "detail": "Expected a text of 1 to 100 characters."}
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


def test_a_body_full_of_faults_gets_an_answer_of_bounded_length() -> None:
    for body in (
        b"[" + b",".join([b'"\\u0000"'] * 20_000) + b"]",
        b'{"' + b"~" * 100_000 + b'": [' + b",".join([b'"\\u0000"'] * 10_000) + b"]}",
        b"[" * 99 + b'"\\u0000"' + b"]" * 99,
    ):
        response = post(signed_delivery(body))
        document = problem_of(response, 422)
        assert len(document["errors"]) <= 20
        assert ("more than the first 20" in document["detail"]) == (body.count(b"0000") > 20)
        assert len(response.content) < 20_000


def test_a_pointer_that_would_be_too_long_is_that_of_the_value_around() -> None:
    body = b'{"a": [0, {"' + b"x" * 1000 + b'": ["\\u0000"]}], "b": "\\ud800"}'
    errors = problem_of(post(signed_delivery(body)), 422)["errors"]
    assert [error["pointer"] for error in errors] == ["/a/1", "/b"]


@pytest.mark.parametrize("depth", [102, 500, 900])
def test_what_is_nested_so_deeply_that_it_could_not_be_written_is_answered(depth: int) -> None:
    body = b'{"a":' * (depth - 1) + b"[1]" + b"}" * (depth - 1)
    document = problem_of(post(signed_delivery(body)), 400)
    assert [error["pointer"] for error in document["errors"]] == ["/a" * 101]
    assert storable_json(b"[" * 101 + b"]" * 101)


def test_reading_a_body_takes_memory_for_its_values_alone() -> None:
    body = b'{"' + b"k" * 8_000 + b'": [' + b",".join([b"0"] * 124_000) + b"]}"
    tracemalloc.start()
    try:
        storable_json(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


def test_json_is_read_whole_and_strictly() -> None:
    assert storable_json('{"größe": [1, null, "ä"]}'.encode()) == {"größe": [1, None, "ä"]}
    for body in (b'{"a": 1, "a": 2}', b"NaN", b"\xff", b"[" * 100_000):
        with pytest.raises(Malformed):
            storable_json(body)


@pytest.mark.parametrize("body", [b"1700000001.7", b'"text"', b"true", b"null"])
def test_a_body_is_an_object_or_an_array(body: bytes) -> None:
    with pytest.raises(Invalid, match="an object or an array"):
        storable_json(body)
    assert storable_json(b"[1]") == [1]


def test_an_endpoint_may_have_secrets_of_its_own(mine: Any) -> None:
    theirs = signed_delivery({"name": "blue"}, secret=mine.PARTNER_SECRET)
    problem_of(post(theirs), 401)
    problem_of(post(signed_delivery({"name": "blue"}), "/webhooks/partner/"), 401)
    assert post(theirs, "/webhooks/partner/").status_code == 202


def test_what_a_store_raises_is_a_500_that_leaves_nothing_behind(
    mine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = mine.store_tag

    def stumble(delivery: Any) -> Any:
        store(delivery)
        Tag.objects.create(name="blue")  # a second of that name

    monkeypatch.setattr(mine, "store_tag", stumble)
    delivery = signed_delivery({"name": "blue"})
    client = Client(raise_request_exception=False)
    assert client.post("/webhooks/tags/", **delivery.request).status_code == 500
    for model in (WebhookDelivery, OutboxMessage, Tag):
        assert not model._default_manager.exists()
    monkeypatch.setattr(mine, "store_tag", store)
    assert post(delivery).status_code == 202, "the sender's next try gets in"


def test_a_name_that_is_there_already_is_no_fault() -> None:
    for _ in range(2):
        assert post(signed_delivery({"name": "blue"})).status_code == 202
    assert Tag.objects.count() == 1


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
