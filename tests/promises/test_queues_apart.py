"""A queue that fills up, whatever fills it, stops no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.promises.broker_queues import depth, open_queue
from tests.promises.siblings import at_work, sibling
from tests.service import Service, kill, running
from tests.sql import count, query
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.timeout(180),
]

FULL, FREE = "apart-full", "apart-free"
BATCH_SIZE, WINDOW = 200, 300
BACKLOG, NUMBER = 5_000, 200

# Of a Post that is not there: the service's task looks and has nothing to do. Without a source_id
# it fails each time. `age` seconds ago they were due.
STORE = """
INSERT INTO outbox_message (id, event_type, task, queue, payload, state, ready_at, due_at)
SELECT gen_random_uuid(), 'post.updated', 'app.tasks.index_post', %(queue)s, %(payload)s, 'ready',
       now(), now() - make_interval(secs => %(age)s)
FROM generate_series(1, %(number)s) AS n
"""
DOES_NOTHING, FAILS = '{"source_id": "nobody"}', "{}"


def store(queue: str, number: int, *, payload: str = DOES_NOTHING, age: int = 0) -> None:
    query(STORE, queue=queue, number=number, payload=payload, age=age)


def done(queue: str) -> int:
    return count(f"outbox_history WHERE queue = '{queue}'")


def live(queue: str, condition: str = "true") -> int:
    return count(f"outbox_message WHERE queue = '{queue}' AND {condition}")


@contextmanager
def workers(folder: Path, *queues: str, **environment: str) -> Iterator[Service]:
    """The service, with a worker for each of the queues instead of its own."""
    with running(folder, OUTBOX_MAX_IN_FLIGHT=str(WINDOW), **environment) as service:
        own = service.processes["worker"]
        kill(own)
        with at_work(*(sibling(own, f"worker-{queue}", "-Q", queue) for queue in queues)):
            yield service


@pytest.fixture(autouse=True)
def _empty_queues(transactional_db: None) -> Iterator[None]:
    names = (FULL, FREE)
    for name in names:
        with open_queue(name) as queue:
            queue.declare()
            queue.purge()
    yield
    for name in names:
        with open_queue(name) as queue:
            queue.delete()


def expect_to_flow(rounds: int = 3) -> None:
    """What comes for the free queue is done soon, each time that some comes."""
    for turn in range(1, rounds + 1):
        store(FREE, NUMBER)
        eventually(lambda turn=turn: done(FREE) == turn * NUMBER, 20)
    assert query(f"SELECT DISTINCT sends, attempts FROM outbox_history WHERE queue = '{FREE}'") == [
        (1, 0)
    ]


def test_a_queue_without_workers_whose_backlog_comes_first_stops_no_other(tmp_path: Path) -> None:
    with workers(tmp_path, FREE), open_queue(FULL) as full:
        store(FULL, BACKLOG, age=3_600)  # ahead of all others in the order of the claims
        eventually(lambda: live(FULL, "state = 'dispatched'") == WINDOW, 30)
        expect_to_flow()
        assert live(FULL, "state = 'dispatched'") == depth(full) == WINDOW
        assert live(FULL, "state = 'ready' AND sends = 0") == BACKLOG - WINDOW


def test_a_queue_of_tasks_that_fail_each_time_stops_no_other(tmp_path: Path) -> None:
    with workers(tmp_path, FULL, FREE):
        store(FULL, BACKLOG, payload=FAILS, age=3_600)
        failed = "last_error LIKE '%%TypeError%%'"
        eventually(lambda: live(FULL, failed) > 0, 30)
        expect_to_flow()
        # They were under way all the time, and have not stopped each other either.
        eventually(lambda: live(FULL, failed) > BATCH_SIZE + WINDOW, 60)
        assert done(FULL) == 0


@pytest.mark.amqp
def test_a_queue_that_the_broker_refuses_stops_no_other(tmp_path: Path) -> None:
    with open_queue(FULL) as full, workers(tmp_path, FREE):
        full.delete()
        full.queue_arguments = {"x-max-length": 10}  # not as the relay declares it
        full.declare()
        store(FULL, BACKLOG, age=3_600)
        refused = "last_error LIKE '%%PRECONDITION_FAILED%%'"
        eventually(lambda: live(FULL, refused) > 0, 30)
        expect_to_flow()
        # They were tried all the time, and have not stopped each other either.
        eventually(lambda: live(FULL, refused) > BATCH_SIZE + WINDOW, 60)
        assert depth(full) == 0
