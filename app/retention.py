"""How long the ledger remembers: WEBHOOK_DEDUPE_DAYS, and not for ever."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

import outbox


@outbox.chore("old deliveries")
def forget_deliveries() -> int:
    """Remove the ids of deliveries that nobody sends again."""
    return outbox.prune(
        "app_delivery", "received_at", older_than=timedelta(days=settings.WEBHOOK_DEDUPE_DAYS)
    )


@outbox.chore("old conflicts")
def forget_conflicts() -> int:
    """Remove the conflicts that have not come again for as long as their deliveries are known."""
    return outbox.prune(
        "app_delivery_conflict", "last_at", older_than=timedelta(days=settings.WEBHOOK_DEDUPE_DAYS)
    )
