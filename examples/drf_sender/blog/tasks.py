"""The one task: a Celery worker delivers a webhook."""

from __future__ import annotations

import outbox

from blog import webhook


# 100 tries take two days on average and four at most. The receiver knows an id for seven.
@outbox.task(
    "post.notify",
    queue="webhooks",
    atomic=False,
    time_limit=30,
    max_attempts=100,
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
