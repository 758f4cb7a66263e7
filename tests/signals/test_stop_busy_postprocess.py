"""A signal to the post-processor in the middle of a batch."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outbox.models import OutboxMessage
from outbox.states import State
from tests.message_factory import MessageFactory, seconds_from_now
from tests.signals.gate import closed_gate
from tests.signals.one_process import one_process, stop_twice
from tests.sql import query
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

PROGRAM = (sys.executable, "-m", "tests.signals.two_kinds", "postprocess")
LOOK = ("event_type", "state", "attempts", "lease_token", "suspect")


@pytest.fixture(autouse=True)
def _prepared(transactional_db: None) -> Iterator[None]:
    query("CREATE TABLE prepared (id uuid NOT NULL)")
    yield
    query("DROP TABLE prepared")


def store_pending(kind: str, number: int, **more: Any) -> list[OutboxMessage]:
    options = {"event_type": f"kind.{kind}", "task": f"kind.{kind}", "state": State.PENDING} | more
    return [MessageFactory(**options) for _ in range(number)]


def rows() -> list[tuple[Any, ...]]:
    return sorted(OutboxMessage.objects.values_list(*LOOK), key=str)


def prepared() -> list[Any]:
    return sorted(row[0] for row in query("SELECT id FROM prepared"))


def test_the_batch_in_hand_is_finished_and_the_rest_given_back(tmp_path: Path) -> None:
    slow = store_pending("slow", 3, received_at=seconds_from_now(-60))
    store_pending("quick", 3)
    store_pending("quick", 1, suspect=True, attempts=2)
    with closed_gate() as gate, one_process("postprocess", tmp_path, argv=PROGRAM) as service:
        process = service.processes["postprocess"]
        gate.wait_for("postprocess")
        process.send(signal.SIGTERM)
        assert OutboxMessage.objects.filter(lease_token__isnull=False).count() == 6
        assert process.poll() is None
        gate.open()
        assert process.wait(20) == 0, process.complaint("did not end well")
    assert rows() == [
        *[("kind.quick", "pending", 0, None, False)] * 3,
        ("kind.quick", "pending", 2, None, True),
        *[("kind.slow", "ready", 0, None, False)] * 3,
    ]
    assert prepared() == sorted(row.pk for row in slow)
    assert not OutboxMessage.objects.filter(due_at__gt=seconds_from_now(0)).exists()


@pytest.mark.slow
def test_the_second_signal_ends_it_and_another_does_the_work_once(tmp_path: Path) -> None:
    store_pending("slow", 3)
    store_pending("quick", 3)
    go_on = tmp_path / "go on"
    environment = {
        "WAIT_IN_PYTHON": str(go_on),
        "OUTBOX_LEASE_SECONDS": "4",
        "OUTBOX_PUBLISH_SECONDS": "2",
    }
    leased = OutboxMessage.objects.filter(lease_token__isnull=False)
    in_hand = "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction'"
    with closed_gate() as gate:
        gate.open()
        with one_process("postprocess", tmp_path, argv=PROGRAM, **environment) as service:
            eventually(lambda: query(in_hand), 30)
            assert stop_twice(service.processes["postprocess"]) == -signal.SIGTERM
        assert prepared() == []
        assert leased.count() == 6
        go_on.touch()
        drain = (*PROGRAM, "--drain")
        with one_process("postprocess", tmp_path, argv=drain, **environment) as service:
            assert service.processes["postprocess"].wait(40) == 0
    assert {row[1:] for row in rows()} == {("ready", 0, None, False)}
    assert prepared() == sorted(OutboxMessage.objects.values_list("pk", flat=True))
