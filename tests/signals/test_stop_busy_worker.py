"""A signal to a worker in the middle of its tasks."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import celery
import pytest

from outbox.models import OutboxMessage
from relay.dispatcher import Dispatcher
from relay.publisher import Publisher
from tests.promises.counted_effects import EFFECTS, NO_EFFECTS, store_ready
from tests.signals.gate import Gate, closed_gate
from tests.signals.one_process import one_process, stop_twice
from tests.sql import count, query
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(150)]

NUMBER, AT_ONCE = 8, 2
# A filesystem has no prefetch of its own: kombu takes one message at a time there as well.
PREFETCH = ("--prefetch-multiplier", "3")


def pool(name: str) -> tuple[str, ...]:
    return ("-P", name, "-c", str(AT_ONCE))


@pytest.fixture
def gate(transactional_db: None) -> Iterator[Gate]:
    """Messages that the broker has, and a closed gate in their tasks."""
    with celery.current_app.connection_for_write() as broker:
        queue = celery.current_app.amqp.queues["celery"](broker.default_channel)
        queue.declare()
        queue.purge()
    query(EFFECTS)
    store_ready("post ", NUMBER)
    publisher = Publisher(celery.current_app, deadline=5)
    try:
        Dispatcher(publisher, batch_size=NUMBER).step()
    finally:
        publisher.close()
    assert count("outbox_message WHERE state = 'dispatched'") == NUMBER
    with closed_gate("effect") as gate:
        yield gate
    query(NO_EFFECTS)


def expect_the_rest_by_another_worker(folder: Path) -> None:
    """All are done once, and no try was counted for what was given back."""
    with one_process("worker", folder) as service:
        eventually(lambda: count("outbox_history") == NUMBER, 60)
        worker = service.processes["worker"]
        worker.send(signal.SIGTERM)
        assert worker.wait(20) == 0, worker.complaint("did not end well")
    assert not OutboxMessage.objects.exists()
    assert query("SELECT count(*), count(DISTINCT source_id) FROM effect") == [(NUMBER, NUMBER)]
    assert query("SELECT DISTINCT attempts, sends FROM outbox_history") == [(0, 1)]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(pool("threads"), id="threads"),
        pytest.param(pool("prefork"), id="prefork", marks=pytest.mark.slow),
        pytest.param(
            (*pool("threads"), *PREFETCH), id="threads-prefetched", marks=pytest.mark.slow
        ),
        pytest.param(
            (*pool("prefork"), *PREFETCH), id="prefork-prefetched", marks=pytest.mark.slow
        ),
    ],
)
def test_tasks_in_hand_are_finished_and_the_rest_left_to_another(
    options: tuple[str, ...], gate: Gate, tmp_path: Path
) -> None:
    with one_process("worker", tmp_path, *options) as service:
        worker = service.processes["worker"]
        gate.wait_for("worker", AT_ONCE)
        worker.send(signal.SIGTERM)
        eventually(lambda: "Warm shutdown" in worker.output())
        assert worker.poll() is None
        assert count("outbox_history") == 0
        gate.open()
        assert worker.wait(30) == 0, worker.complaint("did not end well")
    done = count("outbox_history")
    print(f"done before the end: {done}")
    assert done >= AT_ONCE
    assert query("SELECT DISTINCT state, attempts FROM outbox_message") in (
        [("dispatched", 0)],
        [],
    )
    expect_the_rest_by_another_worker(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["threads", "prefork"])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_it_and_another_does_its_tasks_once(
    name: str, second: int, gate: Gate, tmp_path: Path
) -> None:
    with one_process("worker", tmp_path, *pool(name)) as service:
        gate.wait_for("worker", AT_ONCE)
        assert stop_twice(service.processes["worker"], second) == -second
    assert count("outbox_history") == 0
    gate.open()
    expect_the_rest_by_another_worker(tmp_path)
