"""Which options an outbox task may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Celery's own retries would run beside those of the row, uncounted, and its early ack or its
# requeue of a lost worker's message would bypass the count that ends a poison message. The last
# ones are set here: the body gets its payload and nothing else, and nobody reads its result.
REFUSED = frozenset(
    {
        "autoretry_for",
        "dont_autoretry_for",
        "max_retries",
        "default_retry_delay",
        "retry_backoff",
        "retry_backoff_max",
        "retry_jitter",
        "retry_kwargs",
        "acks_late",
        "acks_on_failure",
        "acks_on_failure_or_timeout",
        "acks_on_timeout",
        "reject_on_worker_lost",
        "retry_on_worker_lost",
        "base",
        "bind",
        "ignore_result",
    }
)


def check_options(
    event_types: Sequence[str],
    *,
    max_attempts: int | None,
    atomic: bool,
    time_limit: int | None,
    others: Mapping[str, Any],
) -> None:
    """Raise TypeError for what cannot work. `others` are given to Celery."""
    if not event_types or not all(name and isinstance(name, str) for name in event_types):
        raise TypeError('Name the event type: @outbox.task("order.placed").')
    if refused := sorted(REFUSED & others.keys()):
        raise TypeError(
            f"{', '.join(refused)}: how it is called, tried again and acknowledged belongs to "
            "the outbox; set max_attempts, and raise to be tried again."
        )
    if max_attempts is not None and max_attempts < 1:
        raise TypeError("max_attempts counts the first try: it is at least 1.")
    if not atomic and (time_limit is None or time_limit <= 0):
        raise TypeError("atomic=False needs time_limit (seconds): its lease is made of it.")
