"""The steps of a delivery, taken one by one in the test's own process and threads."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Barrier
from typing import Any
from uuid import UUID

from django.db import connections

from app.ledger import Delivery
from app.models import Post
from app.payload import parse
from app.tasks import index_post
from app.webhook import record
from outbox import store
from outbox.consumer import consume
from outbox.models import OutboxMessage
from outbox.prepare import Preparer
from outbox.states import State
from tests.factories import signed_delivery
from tests.waiting import eventually

PATIENCE = 30.0
"""Seconds that a test waits for what its threads do."""


def take_in(event: dict[str, Any], webhook_id: str | None = None) -> UUID:
    """Accept a delivery as the webhook does once it is verified. Returns the message's id."""
    body = signed_delivery(event).body
    webhook_id = webhook_id or f"msg_{uuid.uuid4().hex}"
    delivery = Delivery(webhook_id, datetime.now(UTC), body, parse(body))
    return record(delivery).message_id


def index(message_id: UUID) -> str:
    """Consume the message's task, as a worker does."""
    return consume(index_post, message_id, again=False)


def prepare_all(batch_size: int = 100, deadline: float = 20.0) -> None:
    """Prepare until nothing is pending; what is given back is due at once, not in a second."""
    preparer = Preparer(batch_size=batch_size)

    def step() -> bool:
        make_given_back_due()
        preparer.step()
        return not OutboxMessage.objects.filter(state=State.PENDING).exists()

    eventually(step, deadline)


def prepare_while(coming: Callable[[], bool], batch_size: int) -> None:
    """Prepare what is there, batch by batch, as long as more may come."""
    preparer = Preparer(batch_size=batch_size)
    while coming():
        make_given_back_due()
        preparer.step()


def make_given_back_due() -> None:
    store.run(
        "UPDATE outbox_message SET due_at = now() WHERE id IN (SELECT id FROM outbox_message"
        " WHERE state = 'pending' AND lease_token IS NULL AND due_at > now()"
        " FOR NO KEY UPDATE SKIP LOCKED)"
    )


def words(vector: str | None) -> set[str]:
    """The words of a search vector."""
    return set(re.findall(r"'([^']*)':", vector or ""))


def indexed(source_id: str) -> set[str]:
    """The words that a Post is found by, as the primary has them."""
    post = Post.everything.using("default").get(source_id=source_id)
    return words(post.search_vector)


@contextmanager
def sessions(number: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that keep their connections until the end."""
    together = Barrier(number, timeout=PATIENCE)

    def close() -> None:
        together.wait()  # each of the threads takes one
        connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        try:
            yield pool
        finally:
            for closed in [pool.submit(close) for _ in range(number)]:
                closed.result(timeout=PATIENCE)
