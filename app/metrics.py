"""What the web process counts. `settings/metrics_page.py` serves it; elsewhere nobody reads it.

No label ever holds what a caller sends: each has a handful of values, known from the code or from
the secrets that are configured.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from django.conf import settings
from prometheus_client import Counter, Gauge, Histogram

from app.admission import Closed
from app.problem_types import OF_DELIVERIES, ProblemType
from app.signature import Reason, decode_secret, fingerprint

if TYPE_CHECKING:
    from app.admission import Sample

ACCEPTED: Final = "accepted"
DUPLICATE: Final = "duplicate"

DELIVERIES: Final = Counter(
    "pillarbox_webhook_deliveries",
    "Requests to an endpoint, by outcome: accepted, duplicate, or the problem that was answered.",
    ["outcome"],
)
REFUSED_SIGNATURES: Final = Counter(
    "pillarbox_webhook_refused_signatures",
    "Deliveries answered with 401, by reason.",
    ["reason"],
)
ACCEPTED_BY_KEY: Final = Counter(
    "pillarbox_webhook_key_accepted",
    "Deliveries answered with 202, duplicates among them, by the fingerprint of the key.",
    ["key"],
)
KEY_LAST_USED: Final = Gauge(
    "pillarbox_webhook_key_last_used_timestamp_seconds",
    "When a delivery was last answered with 202 that this key had signed; 0: not since the start.",
    ["key"],
    multiprocess_mode="max",
)
STORE_SECONDS: Final = Histogram(
    "pillarbox_webhook_store_seconds",
    "How long it took to store a delivery, commit included, or to find that it is a duplicate.",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
)
ADMISSION_CLOSED: Final = Gauge(
    "pillarbox_admission_closed",
    "1 where a worker of the web process takes no deliveries in, by reason.",
    ["reason"],
    multiprocess_mode="livemax",
)
BACKLOG: Final = Gauge(
    "pillarbox_admission_backlog_messages",
    "Messages that wait to be prepared or sent, counted up to the limit.",
    multiprocess_mode="livemostrecent",
)
LATENESS: Final = Gauge(
    "pillarbox_admission_late_seconds",
    "How late the oldest due message is that waits for its first preparation.",
    multiprocess_mode="livemostrecent",
)

_CLOSED: Final = {reason: ADMISSION_CLOSED.labels(reason.value) for reason in Closed}
_REFUSED: Final = {reason: REFUSED_SIGNATURES.labels(reason.value) for reason in Reason}


def begin() -> None:
    """Show what will be counted from the start, as 0: a first one is then seen as a change."""
    for outcome in (
        ACCEPTED,
        DUPLICATE,
        *map(outcome_of, (*OF_DELIVERIES, ProblemType.SERVER_FAULT)),
    ):
        DELIVERIES.labels(outcome)
    for secret in settings.WEBHOOK_SECRETS:
        key = fingerprint(decode_secret(secret))
        ACCEPTED_BY_KEY.labels(key)
        KEY_LAST_USED.labels(key)


def outcome_of(kind: ProblemType) -> str:
    """Return what a problem is counted as."""
    return kind.name.lower()


def answered(outcome: str) -> None:
    """Count the answer to a request."""
    _of_outcome(outcome).inc()


def accepted(key: str, seconds: float, *, duplicate: bool) -> None:
    """Count a delivery that was signed by `key` and is stored, or was before."""
    answered(DUPLICATE if duplicate else ACCEPTED)
    number, last_used = _of_key(key)
    number.inc()
    last_used.set(time.time())
    STORE_SECONDS.observe(seconds)


# Found once: that takes longer than to count.
_of_outcome: Final = lru_cache(maxsize=64)(DELIVERIES.labels)


@lru_cache(maxsize=64)
def _of_key(key: str) -> tuple[Counter, Gauge]:
    return ACCEPTED_BY_KEY.labels(key), KEY_LAST_USED.labels(key)


def refused_signature(reason: Reason) -> None:
    """Count a delivery without proof."""
    _REFUSED[reason].inc()


def tell_admission(closed: Closed | None, last: Sample) -> None:
    """Tell what the door does, and the sample that it does it by."""
    for reason, gauge in _CLOSED.items():
        gauge.set(reason is closed)
    BACKLOG.set(last.waiting)
    LATENESS.set(last.late)
