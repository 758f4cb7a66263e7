"""A real relay and a real broker without workers; the test itself does what a worker does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.promises.broker_queues import depth, emptied_queue
from tests.promises.counted_effects import store_ready
from tests.promises.work_by_hand import work
from tests.signals.one_process import one_process
from tests.sql import count, query
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(90)]

DISPATCHED = "outbox_message WHERE state = 'dispatched'"
PATIENCE = 30.0


def test_a_purged_queue_is_filled_again_and_each_message_takes_effect_once(
    effects: None, tmp_path: Path
) -> None:
    number = 10
    with emptied_queue() as queue:
        store_ready("post", number)
        with one_process("relay", tmp_path, OUTBOX_REDISPATCH_SECONDS="1"):
            eventually(lambda: count(DISPATCHED) == number, PATIENCE)
            queue.purge()
            again = f"{DISPATCHED} AND sends > 1 AND NOT suspect"  # and not just claimed for it
            eventually(lambda: count(again) == number, PATIENCE)
            assert depth(queue) >= number
            outcomes: list[str] = []

            def done() -> bool:
                outcomes.extend(work(queue))
                return count("outbox_history") == number

            eventually(done, PATIENCE)
        outcomes += work(queue)  # the copies

    assert outcomes.count("done") == number
    assert count("outbox_message") == 0
    assert query("SELECT count(*), count(DISTINCT source_id) FROM effect") == [(number, number)]


def test_a_backlog_without_workers_waits_in_the_table_and_each_message_is_sent_once(
    effects: None, tmp_path: Path
) -> None:
    number, window = 100, 20
    with emptied_queue() as queue:
        store_ready("post", number)
        with one_process("relay", tmp_path, OUTBOX_MAX_IN_FLIGHT=str(window)):
            eventually(lambda: count(DISPATCHED) >= window, PATIENCE)
            # Long enough for the relay to have counted again.
            still = "SELECT max(dispatched_at) < clock_timestamp() - interval '1.2 s'"
            eventually(lambda: query(f"{still} FROM outbox_message")[0][0], PATIENCE)
            assert count(DISPATCHED) == depth(queue) == window
            outcomes: list[str] = []

            def done() -> bool:
                assert depth(queue) <= window
                outcomes.extend(work(queue))
                return len(outcomes) >= 2 * window

            eventually(done, PATIENCE)
        outcomes += work(queue)

    assert set(outcomes) == {"done"}
    assert len(outcomes) == count("outbox_history") < number
    assert query("SELECT DISTINCT sends FROM outbox_history") == [(1,)]
    assert count("outbox_message WHERE sends > 0") == 0
