"""One signed request, as Standard Webhooks has it (https://www.standardwebhooks.com)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache

import httpx
from django.conf import settings
from standardwebhooks import Webhook

TIMEOUT = httpx.Timeout(10, connect=3)
"""Seconds, for each step of a request; the task's time limit bounds the whole of it."""
TRY_AGAIN = {408, 425, 429, *range(500, 600)}
LONGEST_WAIT = 3600.0
"""Seconds; a receiver that asks for more is asked again after so many."""


class Refused(Exception):
    """The receiver will never take this delivery."""


class NotNow(Exception):
    """The receiver may take it later; `retry_after` in seconds, if it said so."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


def send(webhook_id: str, body: str) -> None:
    """Deliver once. Raises `Refused` or `NotNow`."""
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(settings.WEBHOOK_SECRET).sign(webhook_id, now, body),
    }
    try:
        answer = client().post(settings.WEBHOOK_URL, content=body.encode(), headers=headers)
    except httpx.TransportError as error:
        raise NotNow(f"no answer: {error!r}") from error
    if answer.is_success:
        return
    reason = f"answered {answer.status_code}: {answer.text[:500]}"
    if answer.status_code in TRY_AGAIN:
        raise NotNow(reason, _retry_after(answer.headers.get("retry-after", "")))
    raise Refused(reason)


@cache
def client() -> httpx.Client:
    """The connections of this process, kept from one delivery to the next."""
    return httpx.Client(timeout=TIMEOUT)


def _retry_after(value: str) -> float | None:
    """Seconds from now; the header holds seconds or a date (RFC 9110, section 10.2.3)."""
    try:
        wait = float(value) if value.isdecimal() else _seconds_until(parsedate_to_datetime(value))
    except ValueError:
        return None
    return min(max(wait, 0.0), LONGEST_WAIT)


def _seconds_until(moment: datetime) -> float:
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
