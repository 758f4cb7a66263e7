"""What the broker loses is sent again, takes effect once, and nothing else is sent twice."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kombu import Queue

from tests.gate import EFFECT_KEY, closed, wait_for_sessions_at
from tests.promises.broker_queues import depth, open_queue
from tests.promises.counted_effects import store_ready
from tests.service import Service, kill, running
from tests.sql import count, query
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.amqp,
    pytest.mark.slow,
    pytest.mark.timeout(150),
]

BATCH_SIZE = 200

SENT_AGAIN = "SELECT FROM outbox_message WHERE state = 'dispatched' AND sends > 1 AND NOT suspect"
AT_ONCE = 4
"""Tasks that the worker runs at a time."""


@pytest.fixture
def queue() -> Iterator[Queue]:
    with open_queue() as queue:
        yield queue


def take_and_drop(queue: Queue, number: int) -> None:
    """Be a consumer that acknowledges what it gets and never does it: so many messages."""
    dropped: set[str] = set()

    def enough() -> bool:
        while message := queue.get():
            message.ack()
            dropped.add(message.properties["correlation_id"])
        return len(dropped) >= number

    eventually(enough)


def wipe(queue: Queue) -> None:
    queue.delete()
    queue.exchange(queue.channel).delete()


def stop_worker(service: Service, queue: Queue) -> None:
    # While it is being loaded it has no handler for the signal, which then ends it at once.
    eventually(lambda: queue.queue_declare(passive=True).consumer_count, 20)
    worker = service.processes["worker"]
    worker.send(signal.SIGTERM)
    assert worker.wait(15) == 0, worker.complaint("did not end well")


def expect_once(service: Service, queue: Queue, number: int, deadline: float) -> None:
    """All are done, and the copies that are left do nothing. Leaves the worker stopped."""
    eventually(lambda: count("outbox_history") == number, deadline)
    eventually(lambda: depth(queue) == 0, 20)
    stop_worker(service, queue)  # it ends what it has in hand, copies too
    assert depth(queue) == 0
    assert count("outbox_message") == 0
    assert count("outbox_history") == number
    assert query("SELECT count(*), count(DISTINCT source_id) FROM effect") == [(number, number)]


def test_what_the_broker_lost_is_sent_again_and_takes_effect_once(
    effects: None, queue: Queue, tmp_path: Path
) -> None:
    number, done = 30, 0
    losses: dict[str, Callable[[], object]] = {
        "purged": queue.purge,
        "deleted": queue.delete,
        "wiped": lambda: wipe(queue),
        "acknowledged early": lambda: take_and_drop(queue, number),
    }
    with running(tmp_path, OUTBOX_REDISPATCH_SECONDS="2") as service:
        stop_worker(service, queue)
        for loss, lose in losses.items():
            store_ready(f"{loss} ", number)
            eventually(lambda: count("outbox_message WHERE state = 'dispatched'") == number)
            assert count("outbox_message WHERE sends > 1") == 0
            assert depth(queue) == number
            lose()

            # Before there is a worker that would make the queue anew: the relay does.
            eventually(lambda: count(f"({SENT_AGAIN}) AS sent") == number, 30)
            assert depth(queue) >= number
            service.processes["worker"].start()
            done += number
            expect_once(service, queue, done, 30)


def test_what_a_killed_worker_had_in_hand_is_done_once(
    effects: None, queue: Queue, tmp_path: Path
) -> None:
    number = 20
    # A task that is taken before the relay has marked it leaves the relay's claim on the row.
    environment = {
        "OUTBOX_REDISPATCH_SECONDS": "4",
        "OUTBOX_LEASE_SECONDS": "4",
        "OUTBOX_PUBLISH_SECONDS": "2",
    }
    with running(tmp_path, **environment) as service:
        worker = service.processes["worker"]
        with caught_in_the_middle("killed ", number):
            kill(worker)
            assert count("effect") == 0  # of what was under way nothing is left
        worker.start()
        expect_once(service, queue, number, 40)
        resent = count("outbox_history WHERE sends > 1")

        # The same, and the broker knows nothing any more of what the worker had.
        worker.start()
        with caught_in_the_middle("killed after an ack ", number):
            kill(worker)
            take_and_drop(queue, number)
        worker.start()
        expect_once(service, queue, 2 * number, 40)
        assert count("outbox_history WHERE sends > 1") == resent + number


@contextmanager
def caught_in_the_middle(prefix: str, number: int) -> Iterator[None]:
    """Store messages and hold the worker within as many tasks as it can run."""
    with closed(EFFECT_KEY):
        store_ready(prefix, number)
        wait_for_sessions_at(EFFECT_KEY, AT_ONCE, 20)
        yield


def test_the_backlog_waits_in_the_table_and_nothing_is_sent_twice(
    effects: None, queue: Queue, tmp_path: Path
) -> None:
    number, window = 2000, 200
    dispatched, waiting = [0], [0]

    def watched(condition: Callable[[], bool]) -> Callable[[], bool]:
        def look() -> bool:
            dispatched.append(count("outbox_message WHERE state = 'dispatched'"))
            waiting.append(depth(queue))
            return condition()

        return look

    with running(tmp_path, OUTBOX_MAX_IN_FLIGHT=str(window)) as service:
        stop_worker(service, queue)
        store_ready("post ", number)
        eventually(watched(lambda: dispatched[-1] >= window))
        # Long enough for the relay to have counted again, three times.
        full_since = "SELECT max(dispatched_at) < clock_timestamp() - interval '4 s'"
        eventually(watched(lambda: query(f"{full_since} FROM outbox_message")[0][0]))
        assert count("outbox_message WHERE state = 'ready'") == number - window
        assert max(dispatched) == max(waiting) == window  # one relay alone keeps it to the message

        service.processes["worker"].start()
        eventually(watched(lambda: count("outbox_history") == number), 60)
        expect_once(service, queue, number, 1)

    assert max(dispatched) <= window + BATCH_SIZE
    assert max(waiting) <= window + BATCH_SIZE
    assert query("SELECT DISTINCT sends, attempts FROM outbox_history") == [(1, 0)]


def most_sends(table: str) -> int:
    """How often a message may have been sent by now: at first, and after 1, 2, 4, 8 ... seconds."""
    since = "extract(epoch FROM clock_timestamp() - min(dispatched_at))::float8"
    return 2 + int(math.log2(query(f"SELECT {since} FROM {table}")[0][0]))


def test_without_workers_for_long_nothing_is_dead_and_the_copies_are_few(
    effects: None, queue: Queue, tmp_path: Path
) -> None:
    number, seconds = 100, 12  # of re-dispatch times
    environment = {"OUTBOX_REDISPATCH_SECONDS": "1", "OUTBOX_MAX_ATTEMPTS": "2"}
    with running(tmp_path, **environment) as service:
        stop_worker(service, queue)
        store_ready("post ", number)
        eventually(lambda: count("outbox_message WHERE state = 'dispatched'") == number)
        off = f"SELECT max(dispatched_at) < clock_timestamp() - interval '{seconds} s'"
        eventually(lambda: query(f"{off} FROM outbox_message")[0][0], seconds + 5)

        copies = depth(queue)
        states = "SELECT state, count(*), min(sends) > 1, max(attempts) FROM outbox_message"
        # Not in the moment in which some are claimed to be sent again.
        as_it_was = [("dispatched", number, True, 0)]
        eventually(lambda: query(f"{states} GROUP BY state") == as_it_was)
        most = most_sends("outbox_message")
        assert query("SELECT max(sends) FROM outbox_message")[0][0] <= most
        assert number < copies <= most * number

        service.processes["worker"].start()
        expect_once(service, queue, number, 30)
        assert query("SELECT max(attempts) FROM outbox_history") == [(0,)]
        assert query("SELECT max(sends) FROM outbox_history")[0][0] <= most_sends("outbox_history")
