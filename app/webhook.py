"""Step 1: verify a delivery, store Post and message, answer 202."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from django.conf import settings

import outbox
from app.change import Change
from app.database import run
from app.intake import accept, endpoint
from app.payload import Event, parse

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from app.ledger import Delivery

# Looked for first: ON CONFLICT alone would wait for whoever is writing a Post that is there, a
# task or a post-processor, until they commit.
INSERT_POST = """
    INSERT INTO app_post (source_id) SELECT %(source_id)s
    WHERE NOT EXISTS (SELECT FROM app_post WHERE source_id = %(source_id)s)
    ON CONFLICT (source_id) DO NOTHING
"""


@endpoint
def receive(request: HttpRequest) -> HttpResponse:
    """`POST /webhooks/posts/`: 202 means that the delivery is committed and will be worked."""
    refuse_unknown = settings.WEBHOOK_UNKNOWN_FIELDS == "refuse"
    return accept(request, store=store, parse=partial(parse, refuse_unknown=refuse_unknown))


def store(delivery: Delivery[Event]) -> outbox.Message:
    """Insert the Post if it is new; its change waits in the message for the post-processor."""
    change = Change(delivery.content, delivery.id)
    message = outbox.add(change.event.type, **change.to_payload())
    run(INSERT_POST, source_id=change.event.source_id)
    return message
