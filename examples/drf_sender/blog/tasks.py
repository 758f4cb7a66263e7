"""The one task: a Celery worker delivers a webhook."""

from __future__ import annotations

import outbox

from blog import webhook


# 75 tries, with waits of an hour at most, take 32 hours on average and 75 at most: they end within
# the 76 for which the receiver expects them (its WEBHOOK_RETRY_HOURS).
@outbox.task(
    "post.notify",
    queue="webhooks",
    atomic=False,
    time_limit=30,
    max_attempts=75,
    backoff=outbox.Backoff(base=1, cap=3600),
    bind=True,
)
def notify(self: outbox.BoundTask, body: str) -> None:
    """Send one webhook. Its id is the message's own, so that a copy is known to be one."""
    try:
        webhook.send(str(self.message.id), body)
    except webhook.Refused as error:
        raise outbox.Permanent(str(error)) from error
    except webhook.NotNow as error:
        self.retry(countdown=error.retry_after, exc=error)
