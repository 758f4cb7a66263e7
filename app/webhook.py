"""Step 1: verify a delivery, store it with its message, answer 202.

The order of the checks is part of the contract: 405, 413, 401, 415, 400, 422, 409. Before the
signature is known to be good, nothing is parsed and no database is touched.
"""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, cast

from django.conf import settings
from django.db import transaction
from django.http import JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt

from app.intake import OtherBody, accept
from app.payload import Invalid, Malformed, parse
from app.problem import method_not_allowed, outage_is_503, problem
from app.signature import MalformedSecret, SignatureRefused, decode_secret, verify

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

logger = logging.getLogger(__name__)


class _TooLarge(Exception):
    pass


@csrf_exempt  # the signature is the proof; no browser sends one
@transaction.non_atomic_requests  # the intake commits by itself, before the answer is built
@outage_is_503
def receive(request: HttpRequest) -> HttpResponse:
    """`POST /webhooks/posts/`: 202 means that the delivery is committed and will be worked."""
    if request.method != "POST":
        return method_not_allowed("POST")
    try:
        body = _read(request, settings.WEBHOOK_MAX_BODY_BYTES)
    except _TooLarge:
        return problem(413, f"A body has at most {settings.WEBHOOK_MAX_BODY_BYTES} bytes.")
    except OSError as error:  # Django's UnreadablePostError is one
        logger.warning("webhook.body_unreadable: %s", error)
        return problem(400, "The body did not arrive whole and in time.")
    webhook_id = request.headers.get("webhook-id", "")
    try:
        verify(
            _keys(tuple(settings.WEBHOOK_SECRETS)),
            webhook_id=webhook_id,
            timestamp=request.headers.get("webhook-timestamp"),
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
    return _accept(webhook_id, body)


def _accept(webhook_id: str, body: bytes) -> HttpResponse:
    try:
        acceptance = accept(parse(body), webhook_id, body)
    except Malformed as error:
        return problem(400, str(error))
    except Invalid as error:
        return problem(422, "The body is JSON, but not a valid event.", errors=error.errors)
    except OtherBody:
        return problem(409, "This webhook-id was accepted before, with another body.")
    # A path, not an absolute address: the same whatever name and scheme the request came by, and
    # resolved by the caller against the address it has called.
    status_url = reverse("message", args=[acceptance.message_id])
    return JsonResponse(
        {
            "message_id": str(acceptance.message_id),
            "state": acceptance.state.value,
            "status_url": status_url,
        },
        status=202,
        headers={"Location": status_url},
    )


def _unauthorized() -> HttpResponse:
    """The one answer to every delivery without proof: it does not say what was wrong."""
    return problem(
        401,
        "Sign the delivery as Standard Webhooks has it: webhook-id, webhook-timestamp (now) and "
        "webhook-signature.",
        headers={"WWW-Authenticate": 'StandardWebhooks realm="webhooks"'},
    )


def _read(request: HttpRequest, limit: int) -> bytes:
    """Read the body, never more than one byte beyond `limit`.

    Raises `_TooLarge`, and `OSError` when it cannot be read to its end.
    """
    declared = _declared_length(request)
    if declared > limit:
        raise _TooLarge
    body = _stream(request).read(limit + 1)
    if len(body) > limit:
        raise _TooLarge
    if len(body) < declared:
        raise OSError(f"the body ended after {len(body)} of {declared} bytes")
    return body


def _declared_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0  # as Django takes it: a body of no bytes


def _stream(request: HttpRequest) -> BinaryIO:
    """The body to read from. Django reads no chunked body: there the server's own stream is."""
    chunked = "CONTENT_LENGTH" not in request.META and "HTTP_TRANSFER_ENCODING" in request.META
    # Only a server that sets this ends the stream with the body; others would wait for ever.
    if chunked and request.META.get("wsgi.input_terminated"):
        return cast("BinaryIO", request.META["wsgi.input"])
    return cast("BinaryIO", request)


@lru_cache(maxsize=2)
def _keys(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    """The keys that can be used. A malformed secret is left out: it must not stop the others."""
    keys = []
    for number, secret in enumerate(secrets, start=1):
        try:
            keys.append(decode_secret(secret))
        except MalformedSecret as error:
            logger.error("webhook.secret_unusable: number %d: %s", number, error)  # noqa: TRY400
    return tuple(keys)
