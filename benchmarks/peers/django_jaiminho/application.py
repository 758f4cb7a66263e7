"""What jaiminho calls when the row is relayed."""

from __future__ import annotations

from celery import Celery
from jaiminho.send import save_to_outbox

from benchmarks.peers.kit import post

app = Celery("peer", set_as_current=False)


@save_to_outbox
def send_post(post_id: int) -> None:
    """Send the task of one Post, later.

    Its page also has a Celery class whose own `send_task` is decorated. Then each row holds the
    application, pickled, and each message opens a connection of its own, at a tenth of the rate.
    """
    app.send_task(post.TASK, kwargs=post.arguments(post_id))
