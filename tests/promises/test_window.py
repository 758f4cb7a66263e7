"""The in-flight window at its real size: the backlog waits in the table, and is sent once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from kombu import Queue

from tests.promises.broker_queues import depth, open_queue
from tests.promises.siblings import at_work, sibling, wait_for_sessions
from tests.service import kill, running
from tests.sql import count, query
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.timeout(400),
]

NUMBER, WINDOW = 50_000, 10_000
RELAYS, BATCH_SIZE = 3, 200
MOST = WINDOW + RELAYS * BATCH_SIZE
"""While one relay counts, each of the others may have a batch on its way."""

# The service's own task, for a Post that is not there: it looks and has nothing to do.
BACKLOG = """
INSERT INTO outbox_message (id, event_type, task, queue, payload, state, ready_at)
SELECT gen_random_uuid(), 'post.updated', 'app.tasks.index_post', 'celery',
       jsonb_build_object('source_id', 'nobody'), 'ready', now()
FROM generate_series(1, %(number)s) AS n
"""
# What a worker does for each message, for many: each of them must find its live row.
FINISH = """
WITH done AS (
    DELETE FROM outbox_message WHERE id = ANY(%(ids)s::uuid[]) AND state <> 'dead' RETURNING *
)
INSERT INTO outbox_history (id, event_type, task, queue, attempts, sends,
                            received_at, ready_at, dispatched_at, done_at)
SELECT id, event_type, task, queue, attempts - (lease_token IS NOT NULL)::int, sends,
       received_at, ready_at, coalesce(dispatched_at, now()), clock_timestamp()
FROM done RETURNING id
"""
DISPATCHED = "outbox_message WHERE state = 'dispatched'"


class Watch:
    """Looks at both ends of the window each time that a condition is asked for."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self.dispatched = 0
        self.most_dispatched = 0
        self.most_waiting = 0

    def look(self) -> None:
        self.dispatched = count(DISPATCHED)
        self.most_dispatched = max(self.most_dispatched, self.dispatched)
        self.most_waiting = max(self.most_waiting, depth(self._queue))

    def until(self, condition: Callable[[], bool], deadline: float) -> None:
        def looked() -> bool:
            self.look()
            return condition()

        eventually(looked, deadline)


def take(queue: Queue, most: int) -> list[UUID]:
    """Be a quick worker: what it got from the broker, up to so many, is done."""
    ids: list[UUID] = []
    while len(ids) < most and (message := queue.get(no_ack=True)):
        ids.append(UUID(message.properties["correlation_id"]))
    assert len(query(FINISH, ids=ids)) == len(ids)
    return ids


def test_fifty_thousand_messages_wait_in_the_table_and_each_is_sent_once(
    transactional_db: None, tmp_path: Path
) -> None:
    with (
        # Nothing comes due a second time: what is sent twice here, two relays have sent.
        running(tmp_path, OUTBOX_REDISPATCH_SECONDS="3600") as service,
        at_work(*(sibling(service.processes["relay"], f"relay-{n}") for n in range(1, RELAYS))),
        open_queue() as queue,
    ):
        worker = service.processes["worker"]
        kill(worker)
        wait_for_sessions(relay=RELAYS)
        watch = Watch(queue)

        query(BACKLOG, number=NUMBER)
        watch.until(lambda: watch.dispatched >= WINDOW, 60)
        # Long enough for each relay to have counted again, three times.
        still = f"SELECT max(dispatched_at) < clock_timestamp() - interval '4 s' FROM {DISPATCHED}"
        watch.until(lambda: query(still)[0][0], 30)
        # A relay that has sent its last batch may yet have to mark it.
        watch.until(lambda: depth(queue) == watch.dispatched, 30)
        assert WINDOW <= watch.dispatched <= MOST
        unsent = "outbox_message WHERE state = 'ready' AND sends = 0 AND lease_token IS NULL"
        assert count(unsent) == NUMBER - watch.dispatched
        assert count(f"{DISPATCHED} AND sends <> 1") == 0

        worker.start()
        watch.until(lambda: count("outbox_history") >= 100, 60)
        taken: list[UUID] = []

        def done() -> bool:
            taken.extend(take(queue, 500))  # a worker alone would take minutes
            return count("outbox_history") == NUMBER

        watch.until(done, 240)
        assert len(taken) == len(set(taken))
        assert count("outbox_message") == 0

    assert watch.most_dispatched <= MOST
    assert watch.most_waiting <= MOST
    assert query("SELECT DISTINCT sends, attempts FROM outbox_history") == [(1, 0)]
