"""A broker that is killed and comes back without any of its data."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.devstack.application import REPOSITORY
from deploy.devstack.broker import Broker, start_broker
from deploy.devstack.debian import DebianPackages
from deploy.devstack.state import State
from tests.gate import EFFECT_KEY, closed, wait_for_sessions_at
from tests.promises.broker_queues import depth, open_queue
from tests.promises.counted_effects import store_ready
from tests.service import running
from tests.sql import count, query
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.timeout(240),
]

FOLDERS = {"amqp": "rabbitmq", "redis": "redis", "filesystem": "filesystem"}
AT_ONCE = 4
"""Tasks that the worker runs at a time."""


class MortalBroker:
    """A broker of the test's own, of the same kind as that of the other tests."""

    def __init__(self, folder: Path) -> None:
        self._data = FOLDERS[os.environ["CELERY_BROKER_URL"].partition(":")[0]]
        self._folder = folder
        folder.mkdir()
        # It keeps port and password, so that it comes back where it was.
        self._state = State(folder / "state.json")
        self._packages = DebianPackages(
            REPOSITORY / "var" / "cache", folder / "apt.log", lambda line: None
        )
        self._running: Broker | None = None

    @property
    def url(self) -> str:
        assert self._running is not None
        return self._running.url

    def start(self) -> None:
        started = start_broker(
            self._data, self._folder, self._state, self._packages, lambda line: None
        )
        assert self._running is None or self._running.url == started.url
        self._running = started

    def wipe(self) -> None:
        """Kill it and remove what it has stored."""
        assert self._running is not None
        if self._running.process is not None:
            self._running.process.send(signal.SIGKILL)
            assert self._running.process.wait(10) == -signal.SIGKILL
        shutil.rmtree(self._folder / self._data)

    def stop(self) -> None:
        if self._running is not None and self._running.process is not None:
            self._running.process.stop(10)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[MortalBroker]:
    broker = MortalBroker(tmp_path / "broker")
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


def test_after_all_data_of_the_broker_is_lost_every_message_takes_effect_once(
    effects: None, broker: MortalBroker, tmp_path: Path
) -> None:
    number, later = 100, 20
    environment = {
        "CELERY_BROKER_URL": broker.url,
        "OUTBOX_REDISPATCH_SECONDS": "4",
        "OUTBOX_PUBLISH_SECONDS": "2",
        "OUTBOX_LEASE_SECONDS": "8",
        "OUTBOX_MAX_ATTEMPTS": "2",
    }
    with running(tmp_path, **environment) as service:
        with closed(EFFECT_KEY):
            store_ready("before ", number)
            wait_for_sessions_at(EFFECT_KEY, AT_ONCE)
            # All are in the broker; what the worker took before the relay's mark is not marked.
            sent = "outbox_message WHERE state = 'dispatched'"
            eventually(lambda: count(sent) >= number - AT_ONCE)

            broker.wipe()
            store_ready("while it was away ", later)
            broker.start()
            with open_queue(url=broker.url) as queue:
                queue.declare()
                assert depth(queue) < number  # it knows nothing any more

        eventually(lambda: count("outbox_history") == number + later, 60)
        for process in service.processes.values():
            assert process.poll() is None, process.complaint("did not survive the broker")

    everything = number + later
    assert count("outbox_message") == 0
    assert query(
        "SELECT count(*), count(DISTINCT source_id), count(DISTINCT message_id) FROM effect"
    ) == [(everything, everything, everything)]
    # An outage spends no attempts. What the worker had in hand needed no second sending.
    lost = "effect JOIN outbox_history ON id = message_id WHERE source_id LIKE 'before %%'"
    assert count(f"{lost} AND sends > 1") >= number - AT_ONCE
    assert count("outbox_history WHERE attempts > 0") == 0
