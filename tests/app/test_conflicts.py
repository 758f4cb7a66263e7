"""Deliveries whose id was accepted as something else: refused, and recorded for the operator."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from app.models import DeliveryConflict, WebhookDelivery
from app.signature import decode_secret, fingerprint
from tests.app.problems import problem_of
from tests.factories import SECRET, event, signed_delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.factories import Delivery

    Send = Callable[[Delivery], Any]

pytestmark = pytest.mark.django_db

FIRST, OTHER, THIRD = ({"title": title} for title in ("one", "two", "three"))
KEY = fingerprint(decode_secret(SECRET))


def signed(texts: dict[str, str]) -> Delivery:
    return signed_delivery(event(**texts), webhook_id="msg_1")


def digest(texts: dict[str, str]) -> bytes:
    return hashlib.sha256(signed(texts).body).digest()


def test_the_ledger_tells_which_key_signed_a_delivery(send: Send) -> None:
    send(signed(FIRST))
    assert WebhookDelivery.objects.get().key == KEY
    assert KEY not in SECRET


def test_a_conflict_is_recorded_with_both_digests(send: Send) -> None:
    accepted = send(signed(FIRST)).json()
    assert problem_of(send(signed(OTHER)), 409)["type"].endswith(":id-reused")
    conflict = DeliveryConflict.objects.get()
    assert conflict.webhook_id == "msg_1"
    assert bytes(conflict.accepted_digest) == digest(FIRST)
    assert bytes(conflict.digest) == digest(OTHER)
    assert conflict.endpoint == conflict.accepted_endpoint == "/webhooks/posts/"
    assert str(conflict.message_id) == accepted["message_id"]
    assert conflict.key == KEY
    assert conflict.first_at == conflict.last_at


def test_the_retries_of_a_conflict_are_one_row_that_counts_them(send: Send) -> None:
    send(signed(FIRST))
    for texts in (OTHER, OTHER, THIRD, OTHER):
        problem_of(send(signed(texts)), 409)
    times = {bytes(c.digest): c.times for c in DeliveryConflict.objects.all()}
    assert times == {digest(OTHER): 3, digest(THIRD): 1}


def test_a_conflict_names_what_its_id_was_last_accepted_as(send: Send) -> None:
    send(signed(FIRST))
    problem_of(send(signed(OTHER)), 409)
    WebhookDelivery.objects.all().delete()  # as the ledger forgets
    accepted = send(signed(THIRD)).json()
    problem_of(send(signed(OTHER)), 409)
    conflict = DeliveryConflict.objects.get()
    assert bytes(conflict.accepted_digest) == digest(THIRD)
    assert str(conflict.message_id) == accepted["message_id"]
    assert conflict.times == 2


def test_a_duplicate_is_no_conflict(send: Send) -> None:
    assert send(signed(FIRST)).content == send(signed(FIRST)).content
    assert not DeliveryConflict.objects.exists()


def test_an_operator_sees_conflicts_and_can_change_none(
    send: Send, admin_client: Client, admin_user: User
) -> None:
    send(signed(FIRST))
    send(signed(OTHER))
    page = f"/admin/app/deliveryconflict/{DeliveryConflict.objects.get().pk}/change/"
    assert "msg_1" in admin_client.get("/admin/app/deliveryconflict/").content.decode()
    shown = admin_client.get(page).content.decode()
    assert digest(FIRST).hex() in shown
    assert digest(OTHER).hex() in shown
    assert admin_client.post(page, {"times": 9}).status_code == 403
