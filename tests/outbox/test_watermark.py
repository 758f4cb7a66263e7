"""Claims that go on from where the last one ended: what they leave, and what they spare."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from django.db import connection

from outbox import backlog, store
from outbox.models import OutboxMessage
from outbox.registry import AllowedTasks
from outbox.states import State
from outbox.watermark import Watermark
from tests.message_factory import TASK, MessageFactory
from tests.outbox.conftest import parameters

ALLOWED = AllowedTasks((TASK,), ())
KINDS = ["ready", "overdue", "suspect"]
HELD = 3_000


def claim(kind: str, seen: Watermark | None = None, limit: int = 2) -> list[Any]:
    if kind == "ready":
        found = store.claim_ready({"celery": limit, "mail": limit}, ALLOWED, seen)
    elif kind == "overdue":
        found = store.claim_overdue(["celery", "mail"], ALLOWED, limit=limit, seen=seen)
    else:
        found = store.claim_unsent_suspect(["celery", "mail"], ALLOWED, seen)
    return [message.id for message in found]


def due(kind: str, seconds_ago: float, queue: str = "celery") -> Any:
    state = State.DISPATCHED if kind == "overdue" else State.READY
    suspect = kind == "suspect"
    return MessageFactory(state=state, suspect=suspect, due_in=-seconds_ago, queue=queue).pk


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_a_claim_goes_on_from_the_last_one(kind: str) -> None:
    seen = Watermark()
    waiting = [due(kind, 100 - age) for age in range(5)]
    found = [claim(kind, seen) for _ in range(6)]
    assert [each for batch in found for each in batch] == waiting


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_what_came_before_the_mark_is_left_to_a_claim_from_the_start(kind: str) -> None:
    seen = Watermark()
    assert claim(kind, seen) == []
    first = due(kind, 50)
    assert claim(kind, seen) == [first]
    late = due(kind, 60)  # of a transaction that took long to commit
    assert claim(kind, seen) == []
    seen.forget()
    assert claim(kind, seen) == [late]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_mark_a_claim_begins_at_the_start(kind: str) -> None:
    seen = Watermark()
    due(kind, 50)
    claim(kind, seen)
    late = due(kind, 60)
    assert claim(kind) == [late]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_less_than_a_second_late_is_before_no_mark(kind: str) -> None:
    seen = Watermark()
    due(kind, 0)
    claim(kind, seen)
    late = due(kind, 0.9)
    assert claim(kind, seen) == [late]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["ready", "overdue"])
def test_each_queue_has_a_mark_of_its_own(kind: str) -> None:
    seen = Watermark()
    due(kind, 10)
    claim(kind, seen)
    older = due(kind, 100, queue="mail")
    assert claim(kind, seen) == [older]


@pytest.fixture
def held_horizon(django_db_blocker: Any, transactional_db: None) -> Iterator[None]:
    """Another session may still want to see every row that there was."""
    with contextlib.closing(psycopg2.connect(**parameters())) as other:
        other.set_session(isolation_level="REPEATABLE READ")
        other.cursor().execute("SELECT 1")
        yield


def buffers(statement: str, **values: Any) -> int:
    """Pages that a statement looked at."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", values)
        plan = cursor.fetchone()[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def live_and_die(number: int) -> None:
    """So many messages come, are sent and are done, as they were over the last ten minutes."""
    MessageFactory.create_batch(1)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO outbox_message (id, event_type, task, queue, payload, state, ready_at,
                                        due_at)
            SELECT gen_random_uuid(), event_type, task, queue, payload, state, ready_at,
                   now() - make_interval(secs => 600.0 - 590.0 * n / %(number)s)
            FROM outbox_message, generate_series(1, %(number)s) AS n
            """,
            {"number": number},
        )
    seen = Watermark()
    while claimed := store.claim_ready({"celery": 1000}, ALLOWED, seen):
        store.mark_dispatched(claimed)
    OutboxMessage.objects.filter(state=State.DISPATCHED).delete()


@pytest.mark.usefixtures("held_horizon")
def test_a_claim_from_the_mark_walks_over_nothing_that_was_done() -> None:
    from outbox import statements

    live_and_die(HELD)
    values: dict[str, Any] = {"token": "6f1a1c4e-8d1b-4d0f-9c9b-0a2b3c4d5e6f", "lease": 60}
    values |= {"queues": ["celery"], "rooms": [200], **ALLOWED.parameters()}
    now = backlog.due_to_send(float("-inf"))[3]
    from_start = buffers(statements.CLAIM_READY, marks=[float("-inf")], **values)
    from_mark = buffers(statements.CLAIM_READY, marks=[now - 10], **values)
    assert from_start > 60, "the dead entries are still there"
    assert from_mark <= 30


@pytest.mark.usefixtures("held_horizon")
def test_counting_what_is_in_flight_since_a_mark_walks_over_nothing_that_was_done() -> None:
    from outbox import read_statements

    live_and_die(HELD)
    MessageFactory.create_batch(7, state=State.DISPATCHED, due_in=500.0)
    counted, oldest, _ = backlog.in_flight_with_times()
    assert counted == {"celery": 7}
    assert backlog.in_flight_since(oldest) == counted
    whole = buffers(read_statements.IN_FLIGHT)
    marks = {"queues": ["celery"], "marks": [oldest["celery"]]}
    since = buffers(read_statements.IN_FLIGHT_SINCE, **marks)
    assert whole > 50, "the dead entries are still there"
    assert since <= 20
