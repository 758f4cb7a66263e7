"""Store a verified delivery: ledger row, what the endpoint stores, and its message, in one commit.

Nothing here decides whether to accept it; signature and content have been checked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from django.db import OperationalError, transaction

from app.database import alias, run
from outbox import Message, registry
from outbox.states import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

T = TypeVar("T")

# A second delivery of the same id waits here until the first has committed, then inserts nothing.
INSERT_DELIVERY = """
    INSERT INTO app_delivery (webhook_id, endpoint, digest, key, message_id)
    VALUES (%(webhook_id)s, %(endpoint)s, %(digest)s, %(key)s, %(message_id)s)
    ON CONFLICT (webhook_id) DO NOTHING
    RETURNING true
"""

ANSWER_DELIVERY = """
    UPDATE app_delivery SET message_id = %(message_id)s, state = %(state)s
    WHERE webhook_id = %(webhook_id)s
"""

FIND_DELIVERIES = """
    SELECT digest, endpoint, message_id, state, webhook_id
    FROM app_delivery WHERE webhook_id = ANY(%(webhook_ids)s::text[])
"""

# Of each body one row, however often its sender tries again. It tells the last time: an id that the
# ledger has forgotten may have been accepted anew since.
NOTE_CONFLICT = """
    INSERT INTO app_delivery_conflict AS conflict
        (webhook_id, endpoint, digest, key, accepted_endpoint, accepted_digest, message_id)
    VALUES (%(webhook_id)s, %(endpoint)s, %(digest)s, %(key)s,
            %(accepted_endpoint)s, %(accepted_digest)s, %(message_id)s)
    ON CONFLICT (webhook_id, digest) DO UPDATE
    SET times = conflict.times + 1, last_at = now(),
        endpoint = EXCLUDED.endpoint, key = EXCLUDED.key,
        accepted_endpoint = EXCLUDED.accepted_endpoint,
        accepted_digest = EXCLUDED.accepted_digest, message_id = EXCLUDED.message_id
"""

NOT_YET = UUID(int=0)
"""Stands for the message's id until there is a message; it is never committed."""
TRIES = 3


class OtherBody(Exception):
    """The webhook-id was accepted before, with another body."""


class OtherEndpoint(Exception):
    """The webhook-id was accepted before, at another endpoint: this one's `store` has not run."""


@dataclass(frozen=True, slots=True)
class Delivery(Generic[T]):
    """A delivery whose signature is good. Ids are unique across all endpoints and secrets."""

    id: str
    """The webhook-id, 1 to 255 visible ASCII characters."""
    timestamp: datetime
    """When the sender signed it, in UTC, by the sender's clock."""
    body: bytes = field(repr=False)
    """What was signed."""
    content: T = field(repr=False)
    """The body as the endpoint's `parse` read it; by default its JSON."""
    endpoint: str = ""
    """The path that it came to, in ASCII; empty where that is not known, which is any endpoint."""
    key: str = ""
    """The fingerprint of the key that signed it."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The answer to a delivery. `state` is the state at acceptance: a duplicate gets the same."""

    message_id: UUID
    state: State
    duplicate: bool = field(default=False, compare=False)
    """Whether it was stored before."""


class Known(NamedTuple):
    """What the ledger knows of a webhook-id."""

    digest: bytes
    endpoint: str
    """Empty in a row of the version before, which did not write it."""
    message_id: UUID
    state: str
    webhook_id: str


def record(delivery: Delivery[T], store: Callable[[Delivery[T]], Message]) -> Acceptance:
    """Store the delivery, or find what it was stored as. It is committed when this returns.

    Raises `OtherEndpoint` and `OtherBody`, which are recorded for the operator, Django's
    `OperationalError` when the database cannot do it, and whatever `store` raises.
    """
    digest = digest_of(delivery)

    def attempt() -> Acceptance | Known | None:
        if accepted := _store(delivery, digest, store):
            return accepted
        # A statement of its own, since the insert's snapshot is older than the row it met.
        rows = run(FIND_DELIVERIES, webhook_ids=[delivery.id])
        return Known(*rows[0]) if rows else None

    return settle(delivery, digest, attempt)


def digest_of(delivery: Delivery[Any]) -> bytes:
    """By which the same body is known again."""
    return hashlib.sha256(delivery.body).digest()


def settle(
    delivery: Delivery[Any], digest: bytes, attempt: Callable[[], Acceptance | Known | None]
) -> Acceptance:
    """Try to store a delivery, which is committed when this returns.

    `attempt` stores it, or returns what the ledger knows of its id; None where the row that was in
    the way has left the ledger meanwhile, so that by now the delivery is new. Raises as `record`.
    """
    for _ in range(TRIES):
        found = attempt()
        if isinstance(found, Acceptance):
            return found
        if found is not None:
            return _recognise(delivery, digest, found)
    raise OperationalError(f"delivery {delivery.id} is in the ledger and not in it, {TRIES} times")


def _recognise(delivery: Delivery[Any], digest: bytes, known: Known) -> Acceptance:
    elsewhere = known.endpoint and delivery.endpoint and known.endpoint != delivery.endpoint
    if not elsewhere and bytes(known.digest) == digest:
        return Acceptance(known.message_id, State(known.state), duplicate=True)
    run(
        NOTE_CONFLICT,
        **_known_by(delivery, digest),
        accepted_endpoint=known.endpoint,
        accepted_digest=known.digest,
        message_id=known.message_id,
    )
    raise OtherEndpoint(delivery.id) if elsewhere else OtherBody(delivery.id)


def _store(
    delivery: Delivery[T], digest: bytes, store: Callable[[Delivery[T]], Message]
) -> Acceptance | None:
    """Write all there is to a delivery, or nothing where the ledger has it already."""
    # Durable: an outer transaction would let the caller answer 202 before the commit.
    with transaction.atomic(using=alias(), durable=True):
        # First the ledger, everywhere: a duplicate then runs nothing, and whoever waits for the
        # rows of an endpoint holds its delivery already, never the other way round.
        if not run(INSERT_DELIVERY, **_known_by(delivery, digest), message_id=NOT_YET):
            return None
        message = store(delivery)
        if not isinstance(message, Message):
            raise TypeError(
                f"{getattr(store, '__qualname__', store)} stores a webhook's delivery: it must "
                f"return the message that it enqueued, not {message!r}."
            )
        accepted = Acceptance(message.id, registry.first_state(message.event_type))
        run(
            ANSWER_DELIVERY,
            webhook_id=delivery.id,
            message_id=message.id,
            state=accepted.state.value,
        )
    return accepted


def _known_by(delivery: Delivery[T], digest: bytes) -> dict[str, Any]:
    return {
        "webhook_id": delivery.id,
        "endpoint": delivery.endpoint,
        "digest": digest,
        "key": delivery.key,
    }
