"""How long a delivery may come again. It needs nothing of Django: settings are checked by it."""

from __future__ import annotations

from math import ceil


def fault(*, dedupe_days: float, retry_hours: float, tolerance_seconds: float) -> str | None:
    """Return why the ledger would forget a delivery that can still come again, or None.

    The sender's last try comes up to `retry_hours` after the one that was accepted. Its timestamp
    may be `tolerance_seconds` ahead of our clock, and is good for as long after: whoever has seen
    that try may repeat it for twice the tolerance.
    """
    needed_seconds = retry_hours * 3600 + 2 * tolerance_seconds
    if dedupe_days * 86_400 >= needed_seconds:
        return None
    return (
        f"WEBHOOK_DEDUPE_DAYS ({dedupe_days}) must be at least {ceil(needed_seconds / 86_400)}: a"
        f" sender may try again for {retry_hours} hours (WEBHOOK_RETRY_HOURS), its last try can be"
        f" replayed for twice {tolerance_seconds} seconds (WEBHOOK_TOLERANCE_SECONDS), and what is"
        " forgotten by then would be taken in a second time."
    )
