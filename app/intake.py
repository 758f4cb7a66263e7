"""Take a delivery in: verify it, store it with its message, answer 202. For any endpoint.

The order of the checks is part of the contract: 405, 413, 401, 415, 400, 422, 409. Before the
signature is known to be good, nothing is parsed and no database is touched.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, cast

from django.conf import settings
from django.db import transaction
from django.http import JsonResponse
from django.urls import reverse
from django.utils.encoding import escape_uri_path
from django.views.decorators.csrf import csrf_exempt

from app.body import TooLarge, read
from app.ledger import Acceptance, Delivery, OtherBody, OtherEndpoint, record
from app.problem import method_not_allowed, outage_is_503, problem
from app.signature import MalformedSecret, SignatureRefused, decode_secret, verify
from app.strict_json import Invalid, Malformed, storable_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.http import HttpRequest, HttpResponse, HttpResponseBase

    from outbox import Message

    View = TypeVar("View", bound=Callable[..., HttpResponseBase])

T = TypeVar("T")

logger = logging.getLogger(__name__)


def endpoint(view: View) -> View:
    """Make a view one that takes deliveries in: no CSRF token, and no transaction around it.

    The signature is the proof, and no browser sends one. `accept` commits by itself, before the
    answer is built.
    """
    return transaction.non_atomic_requests(csrf_exempt(view))


def accept(
    request: HttpRequest,
    *,
    store: Callable[[Delivery[T]], Message],
    parse: Callable[[bytes], T] = storable_json,
    secrets: Sequence[str] | None = None,
) -> HttpResponse:
    """Answer a delivery: 202 means that it is committed and will be worked, or a problem.

    `parse` makes the content of the body and may touch no database; it raises `Malformed` for a
    400, `Invalid` for a 422. By default it reads JSON, all of which PostgreSQL can store. `store`
    is plain ORM, run once per delivery inside a transaction on the outbox's database: it returns
    the message that it enqueued, and what it raises undoes all of it (`Malformed` and `Invalid`
    are answered as above).
    `secrets` are those of the endpoint's senders, `whsec_...`; by default WEBHOOK_SECRETS.
    """
    return cast("HttpResponse", outage_is_503(_answer)(request, store, parse, secrets))


def _answer(
    request: HttpRequest,
    store: Callable[[Delivery[T]], Message],
    parse: Callable[[bytes], T],
    secrets: Sequence[str] | None,
) -> HttpResponse:
    if request.method != "POST":
        return method_not_allowed("POST")
    signed = _signed(request, settings.WEBHOOK_SECRETS if secrets is None else secrets)
    if not isinstance(signed, tuple):
        return signed
    webhook_id, signed_at, body = signed
    try:
        # Escaped: a path that was taken in by a pattern may hold what cannot be stored.
        endpoint = escape_uri_path(request.path_info)
        delivery = Delivery(webhook_id, signed_at, body, parse(body), endpoint)
        accepted = record(delivery, store)
    except Malformed as error:
        return problem(400, str(error))
    except Invalid as error:
        return problem(422, "The body is JSON, but not a valid event.", errors=error.errors)
    except OtherEndpoint:
        return problem(
            409,
            "This webhook-id was accepted before, at another endpoint, and is not stored at this"
            " one. Give each endpoint's deliveries ids of their own.",
        )
    except OtherBody:
        return problem(409, "This webhook-id was accepted before, with another body.")
    return _accepted(accepted)


def _accepted(accepted: Acceptance) -> HttpResponse:
    # A path, not an absolute address: the same whatever name and scheme the request came by, and
    # resolved by the caller against the address it has called.
    status_url = reverse("message", args=[accepted.message_id])
    return JsonResponse(
        {
            "message_id": str(accepted.message_id),
            "state": accepted.state.value,
            "status_url": status_url,
        },
        status=202,
        headers={"Location": status_url},
    )


def _signed(
    request: HttpRequest, secrets: Sequence[str]
) -> tuple[str, datetime, bytes] | HttpResponse:
    """The webhook-id, the time and the bytes that one of the secrets has signed, or a problem."""
    try:
        body = read(request, settings.WEBHOOK_MAX_BODY_BYTES)
    except TooLarge:
        return problem(413, f"A body has at most {settings.WEBHOOK_MAX_BODY_BYTES} bytes.")
    except OSError as error:  # Django's UnreadablePostError is one
        logger.warning("webhook.body_unreadable: %s", error)
        return problem(400, "The body did not arrive whole and in time.")
    webhook_id = request.headers.get("webhook-id", "")
    timestamp = request.headers.get("webhook-timestamp", "")
    try:
        verify(
            _keys(tuple(secrets)),
            webhook_id=webhook_id,
            timestamp=timestamp,
            signature=request.headers.get("webhook-signature"),
            body=body,
            now=time.time(),
            tolerance=settings.WEBHOOK_TOLERANCE_SECONDS,
        )
    except SignatureRefused as refusal:
        logger.warning("webhook.refused: %s", refusal.reason)
        return _unauthorized()
    if request.content_type != "application/json":
        return problem(415, "Send the body as application/json.")
    return webhook_id, datetime.fromtimestamp(int(timestamp), UTC), body


def _unauthorized() -> HttpResponse:
    """The one answer to every delivery without proof: it does not say what was wrong."""
    return problem(
        401,
        "Sign the delivery as Standard Webhooks has it: webhook-id, webhook-timestamp (now) and "
        "webhook-signature.",
        headers={"WWW-Authenticate": 'StandardWebhooks realm="webhooks"'},
    )


@lru_cache(maxsize=16)
def _keys(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    """The keys that can be used. A malformed secret is left out: it must not stop the others."""
    keys = []
    for number, secret in enumerate(secrets, start=1):
        try:
            keys.append(decode_secret(secret))
        except MalformedSecret as error:
            logger.error("webhook.secret_unusable: number %d: %s", number, error)  # noqa: TRY400
    return tuple(keys)
