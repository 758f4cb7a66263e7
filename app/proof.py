"""What a request proves: who signed which bytes, and when. Nothing is parsed, no database touched.

The order of the checks is part of the contract: 413, 503, 401, 415.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from functools import lru_cache
from secrets import randbelow
from typing import TYPE_CHECKING, Final

from django.conf import settings

from app import door, metrics
from app.admission import Closed
from app.body import TooLarge, read
from app.problem import database_away, problem, unavailable
from app.problem_types import ProblemType
from app.signature import MalformedSecret, SignatureRefused, decode_secret, fingerprint, verify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest, HttpResponse

logger = logging.getLogger(__name__)

OVERLOADED_RETRY_SECONDS: Final = 30
"""No sooner is a sender asked to come back; a fifth of the backlog must be worked meanwhile."""
OVERLOADED_SPREAD_SECONDS: Final = 30
"""So much later at most, by chance: senders that come back all at once would fill it at once."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A request whose signature is good."""

    webhook_id: str
    timestamp: int
    """Seconds since the epoch, by the sender's clock."""
    body: bytes = field(repr=False)
    key: str
    """The fingerprint of the key that signed it."""


def prove(request: HttpRequest, secrets: Sequence[str]) -> Signed | HttpResponse:
    """Return what one of the secrets has signed, as plain JSON, or the problem to answer."""
    try:
        body = read(request, settings.WEBHOOK_MAX_BODY_BYTES)
    except TooLarge:
        return problem(
            ProblemType.CONTENT_TOO_LARGE,
            f"A body has at most {settings.WEBHOOK_MAX_BODY_BYTES} bytes.",
        )
    except OSError as error:  # Django's UnreadablePostError is one
        logger.warning("webhook.body_unreadable: %s", error)
        return problem(ProblemType.BROKEN_BODY, "The body did not arrive whole and in time.")
    if closed := door.closed():
        return _closed(closed)
    # Not `request.headers`: that is made anew for each request, of all headers.
    webhook_id = request.META.get("HTTP_WEBHOOK_ID", "")
    timestamp = request.META.get("HTTP_WEBHOOK_TIMESTAMP", "")
    try:
        key = verify(
            _keys(tuple(secrets)),
            webhook_id=webhook_id,
            timestamp=timestamp,
            signature=request.META.get("HTTP_WEBHOOK_SIGNATURE", ""),
            body=body,
            now=time.time(),
            tolerance=settings.WEBHOOK_TOLERANCE_SECONDS,
        )
    except SignatureRefused as refusal:
        logger.warning("webhook.refused: %s", refusal)
        metrics.refused_signature(refusal.reason)
        return _unauthorized()
    return _unsupported(request) or Signed(webhook_id, int(timestamp), body, fingerprint(key))


def _unsupported(request: HttpRequest) -> HttpResponse | None:
    """A problem if the body is not sent as plain JSON."""
    if request.content_type != "application/json":
        return problem(
            ProblemType.MEDIA_TYPE,
            "Send the body as application/json.",
            headers={"Accept-Post": "application/json"},
        )
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        return problem(
            ProblemType.CONTENT_CODING,
            "Send the body as it is, not compressed.",
            headers={"Accept-Encoding": "identity"},  # RFC 9110, 15.5.16
        )
    return None


def _closed(reason: Closed) -> HttpResponse:
    if reason in (Closed.DATABASE, Closed.NO_SAMPLE):
        return database_away()
    return unavailable(
        ProblemType.OVERLOADED,
        "So much work waits that no more is taken in just now. Try again later.",
        retry_after=OVERLOADED_RETRY_SECONDS + randbelow(OVERLOADED_SPREAD_SECONDS + 1),
    )


def _unauthorized() -> HttpResponse:
    """The one answer to every delivery without proof: it does not say what was wrong."""
    return problem(
        ProblemType.UNAUTHORIZED,
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
