"""Store an accepted delivery: ledger row, Post and message, in one transaction.

Nothing here decides whether to accept it; signature and content have been checked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import OperationalError, transaction

import outbox
from app.change import Change
from app.database import alias, run
from outbox.states import State

if TYPE_CHECKING:
    from uuid import UUID

    from app.payload import Event

# A second delivery of the same id waits here until the first has committed, then inserts nothing.
INSERT_DELIVERY = """
    INSERT INTO app_delivery (webhook_id, digest, message_id)
    VALUES (%(webhook_id)s, %(digest)s, %(message_id)s)
    ON CONFLICT (webhook_id) DO NOTHING
    RETURNING true
"""

INSERT_POST = """
    INSERT INTO app_post (source_id) VALUES (%(source_id)s) ON CONFLICT (source_id) DO NOTHING
"""

FIND_DELIVERY = "SELECT digest, message_id FROM app_delivery WHERE webhook_id = %(webhook_id)s"

TRIES = 3


class OtherBody(Exception):
    """The webhook-id was accepted before, with another body."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The answer to a delivery. `state` is the state at acceptance: a duplicate gets the same."""

    message_id: UUID
    state: State = State.PENDING


def accept(event: Event, webhook_id: str, body: bytes) -> Acceptance:
    """Store the delivery, or find what it was stored as. It is committed when this returns.

    Raises `OtherBody`, and Django's `OperationalError` when the database cannot do it.
    """
    digest = hashlib.sha256(body).digest()
    for _ in range(TRIES):
        if stored := _store(Change(event, webhook_id), digest):
            return Acceptance(stored)
        # A statement of its own, since the insert's snapshot is older than the row it met.
        if known := run(FIND_DELIVERY, webhook_id=webhook_id):
            known_digest, message_id = known[0]
            if bytes(known_digest) != digest:
                raise OtherBody(webhook_id)
            return Acceptance(message_id)
        # The row has left the ledger between the two statements: by now the delivery is new.
    raise OperationalError(f"delivery {webhook_id} is in the ledger and not in it, {TRIES} times")


def _store(change: Change, digest: bytes) -> UUID | None:
    """Write all three rows, or none where the ledger has the delivery already."""
    # Durable: an outer transaction would let the caller answer 202 before the commit.
    with transaction.atomic(using=alias(), durable=True):
        # First, for its id: it locks nothing that anybody could wait for. The two that can be
        # waited for come in one order everywhere, delivery before Post.
        message = outbox.add(change.event.type, **change.to_payload())
        new = run(
            INSERT_DELIVERY,
            webhook_id=change.webhook_id,
            digest=digest,
            message_id=message.id,
        )
        if not new:
            transaction.set_rollback(True, using=alias())
            return None
        run(INSERT_POST, source_id=change.event.source_id)
    return message.id
