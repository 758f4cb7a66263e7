"""The ledger forgets, in time and not before."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from app.models import DeliveryConflict, WebhookDelivery
from app.retention import forget_conflicts, forget_deliveries
from tests.factories import WebhookDeliveryFactory, event, signed_delivery
from tests.outbox.moved_clock import movable_clock, set_clock


def aged(**age: float) -> WebhookDelivery:
    return WebhookDeliveryFactory(received_at=timezone.now() - timedelta(**age))


@pytest.mark.django_db
def test_ids_are_remembered_for_the_days_of_the_setting_and_no_longer(settings: Any) -> None:
    settings.WEBHOOK_DEDUPE_DAYS = 5
    aged(days=5, minutes=1)
    kept = aged(days=4, hours=23, minutes=59)
    assert forget_deliveries() == 1
    assert list(WebhookDelivery.objects.all()) == [kept]


@pytest.mark.django_db
def test_a_conflict_is_forgotten_when_it_has_not_come_again_for_so_long(
    settings: Any, send: Any
) -> None:
    settings.WEBHOOK_DEDUPE_DAYS = 5
    for title in ("accepted", "refused", "refused again"):
        send(signed_delivery(event(title=title), webhook_id="msg_1"))
    old, recent = DeliveryConflict.objects.order_by("pk")
    for conflict, hours in ((old, 121), (recent, 119)):
        DeliveryConflict.objects.filter(pk=conflict.pk).update(
            first_at=timezone.now() - timedelta(days=9),
            last_at=timezone.now() - timedelta(hours=hours),
        )
    assert forget_conflicts() == 1
    assert list(DeliveryConflict.objects.all()) == [recent]


@pytest.mark.django_db
def test_it_is_the_databases_clock_that_counts(settings: Any) -> None:
    """A process whose clock is a year ahead would empty the ledger."""
    settings.WEBHOOK_DEDUPE_DAYS = 5
    aged(days=6)
    with movable_clock():
        set_clock(f"{timezone.now() - timedelta(days=2)}")
        assert forget_deliveries() == 0
        set_clock(f"{timezone.now()}")
        assert forget_deliveries() == 1


@pytest.mark.django_db(transaction=True)
def test_maintain_removes_old_ids_and_a_delivery_of_one_is_new_again(send: Any) -> None:
    delivery = signed_delivery(event(), webhook_id="msg_1")
    first = send(delivery).json()
    assert send(delivery).json() == first
    WebhookDelivery.objects.update(received_at=timezone.now() - timedelta(days=8))
    out = StringIO()
    call_command("outbox", "maintain", stdout=out)
    assert "old deliveries: 1 removed." in out.getvalue()
    assert send(delivery).json() != first
