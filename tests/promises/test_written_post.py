"""A Post that somebody has written and not yet committed holds up no delivery and no batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from django.db import connection
from django.test import Client

from outbox.models import OutboxMessage
from outbox.prepare import Preparer
from tests.factories import SECRET, PostFactory, event, signed_delivery

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def written(transactional_db: None) -> Iterator[str]:
    """A Post whose task has written it, in a transaction that is still open."""
    post = PostFactory()
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout TO '500ms'")
    session = psycopg2.connect(**connection.get_connection_params())
    session.cursor().execute(
        "UPDATE app_post SET search_vector = to_tsvector('simple', 'word') WHERE id = %s", [post.pk]
    )
    yield post.source_id
    session.close()
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")


def post_delivery(client: Client, content: dict[str, Any]) -> int:
    delivery = signed_delivery(content)
    return int(client.post("/webhooks/posts/", **delivery.request).status_code)


def test_what_is_written_just_now_delays_neither_its_next_delivery_nor_another_post(
    written: str, client: Client, settings: Any
) -> None:
    settings.WEBHOOK_SECRETS = [SECRET]
    assert post_delivery(client, event("post.updated", written, at=9)) == 202
    assert post_delivery(client, event("post.created", "free")) == 202

    Preparer(batch_size=10).step()

    rows = OutboxMessage.objects.order_by("received_at")
    told = rows.values_list("payload__source_id", "state", "attempts", "suspect")
    assert list(told) == [(written, "pending", 0, False), ("free", "ready", 0, False)]
