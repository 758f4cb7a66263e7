"""A relay stopped past its lease, in small: another has taken its message meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import celery
import pytest

from relay.dispatcher import Dispatcher
from relay.publisher import Publisher
from tests.gate import CLAIM, closed, wait_for_sessions_at
from tests.promises.broker_queues import emptied_queue
from tests.promises.counted_effects import store_ready
from tests.promises.siblings import freeze, wake
from tests.promises.work_by_hand import work
from tests.signals.one_process import one_process
from tests.sql import count, query
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(90)]

SHORT = {"OUTBOX_LEASE_SECONDS": "2", "OUTBOX_PUBLISH_SECONDS": "1"}
PATIENCE = 30.0


@pytest.fixture
def gate(effects: None) -> Iterator[None]:
    CLAIM.plant()
    yield
    CLAIM.remove()


def row(source: str) -> list[tuple[Any, ...]]:
    """All of a live message, and the transaction that wrote it last."""
    mine = "payload->>'source_id' = %s"
    return query(f"SELECT xmin::text, m::text, state FROM outbox_message AS m WHERE {mine}", source)


def send_as_another() -> None:
    """Be a second relay until the message is sent and marked."""
    publisher = Publisher(celery.current_app, deadline=5)
    dispatcher = Dispatcher(publisher, batch_size=1)

    def sent() -> bool:
        dispatcher.step()
        return row("post1")[0][-1] == "dispatched"

    try:
        eventually(sent, PATIENCE)
    finally:
        publisher.close()


def test_a_relay_that_wakes_after_its_lease_changes_nothing_of_what_another_has_sent(
    gate: None, tmp_path: Path
) -> None:
    with emptied_queue() as queue, one_process("relay", tmp_path, **SHORT) as service:
        relay = service.processes["relay"]
        with closed(CLAIM.key):
            store_ready("post", 1)
            wait_for_sessions_at(CLAIM.key)
            freeze(relay)
        send_as_another()
        before = row("post1")

        wake(relay)
        # It does one after the other: what it has marked last, it has sent after the one before.
        store_ready("next", 1)
        eventually(lambda: row("next1")[0][-1] == "dispatched", PATIENCE)
        assert row("post1") == before
        outcomes = work(queue)

    assert sorted(outcomes) == ["already_done", "done", "done"]
    assert count("outbox_message") == 0
    assert query("SELECT source_id, count(*) FROM effect GROUP BY 1 ORDER BY 1") == [
        ("next1", 1),
        ("post1", 1),
    ]
