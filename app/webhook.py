"""Step 1: verify a delivery, store Post and message, answer 202."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings

from app import group_commit
from app.arrival import Arrival
from app.change import Change
from app.intake import endpoint, take_in
from app.ledger import digest_of, settle
from app.payload import Event, parse
from outbox.entry import draft

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from app.ledger import Acceptance, Delivery


@endpoint
def receive(request: HttpRequest) -> HttpResponse:
    """`POST /webhooks/posts/`: 202 means that the delivery is committed and will be worked."""
    refuse_unknown = settings.WEBHOOK_UNKNOWN_FIELDS == "refuse"
    return take_in(request, record=record, parse=partial(parse, refuse_unknown=refuse_unknown))


def record(delivery: Delivery[Event]) -> Acceptance:
    """Store the delivery, its Post if that is new, and its change, which waits in the message.

    It is committed when this returns, together with others. Raises as `app.ledger.record` does.
    """
    change = Change(delivery.content, delivery.id)
    digest = digest_of(delivery)
    message = draft(change.event.type, change.to_payload())
    arrival = Arrival(delivery, digest.hex(), change.event.source_id, message)
    return settle(delivery, digest, partial(group_commit.store_arrival, arrival))
