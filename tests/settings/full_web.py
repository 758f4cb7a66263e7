"""A web process with several workers, before a backlog of a known size."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from dataclasses import dataclass

from django.db import transaction

from tests.factories import event
from tests.service import Answer, Service
from tests.settings.scraped import Scraped, scrape
from tests.sql import query
from tests.waiting import eventually

LIMIT = 20
WORKERS = 2
CLOSED = "pillarbox_admission_closed"
BACKLOG = "pillarbox_admission_backlog_messages"


@dataclass(frozen=True, slots=True)
class Web(Service):
    """A web process that serves metrics."""

    metrics_port: int

    def scrape(self) -> Scraped:
        return scrape(self.metrics_port)


def tells(web: Web, backlog: int, *, closed: bool) -> bool:
    """Whether the workers have sampled so much, and all think the same of it."""
    page = web.scrape()
    return page[BACKLOG, ""] == backlog and page[CLOSED, "backlog"] == closed


def new(web: Web) -> Answer:
    return web.deliver(event(source_id=uuid.uuid4().hex))


def unsigned(web: Web) -> Answer:
    """What a closed door answers with 503 and an open one with 401: nothing is stored."""
    return web.ask("POST", "/webhooks/posts/", b"{}")


def fill(number: int) -> None:
    """Let there be so many messages that wait, and no others."""
    with transaction.atomic():
        query("DELETE FROM outbox_message")
        query(
            "INSERT INTO outbox_message (id, event_type, task, queue, payload, state)"
            " SELECT gen_random_uuid(), 'post.created', 'x', 'celery', '{}', 'pending'"
            " FROM generate_series(1, %s)",
            number,
        )


def all_have_sampled() -> None:
    """Wait until each worker has taken a sample that began after this call."""
    [(now,)] = query("SELECT clock_timestamp()")
    own = (
        "pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND position('AS waiting' IN query) > 0 AND state = 'idle'"
    )
    eventually(
        lambda: query(f"SELECT count(*) FROM {own} AND query_start > %s", now) == [(WORKERS,)], 20
    )


def statuses(web: Web, number: int) -> Counter[int]:
    """What so many deliveries are answered that come over four connections at once."""
    found: list[int] = []

    def send() -> None:
        for _ in range(number // 4):
            found.append(new(web).status)

    senders = [threading.Thread(target=send) for _ in range(4)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return Counter(found)
