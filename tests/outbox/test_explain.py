"""The hot statements use their indexes, however long the backlog of others."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from outbox import read_statements, statements, task_statements
from tests.plan import nodes

BACKLOG = """
INSERT INTO outbox_message (id, event_type, task, queue, payload, state, suspect, lease_token,
                            due_at, ready_at, dispatched_at, last_error)
SELECT gen_random_uuid(), 'thing.happened', 'tests.happened', %(queue)s, '{"n": 1}', %(state)s,
       %(suspect)s, NULL, now() + make_interval(secs => %(due_in)s) - make_interval(secs => n),
       CASE WHEN %(state)s <> 'pending' THEN now() END,
       CASE WHEN %(state)s = 'dispatched' THEN now() END,
       CASE WHEN %(state)s = 'dead' THEN 'it broke' ELSE '' END
FROM generate_series(1, %(number)s) AS n
"""
BACKLOGS: list[tuple[str, str, int, float, bool]] = [
    ("full", "ready", 50_000, 0, False),
    ("celery", "ready", 2_000, 0, False),
    ("celery", "ready", 8_000, 100_000, False),
    ("celery", "dispatched", 9_000, 100_000, False),
    ("full", "dispatched", 10_000, 100_000, False),
    ("celery", "dispatched", 300, 0, False),
    ("celery", "pending", 15_000, 0, False),
    ("celery", "dead", 5_000, 0, False),
    ("celery", "ready", 300, 0, True),
    ("celery", "dispatched", 200, 100_000, True),
    ("celery", "pending", 200, 0, True),
]
PARAMETERS: dict[str, Any] = {
    "token": uuid.uuid4(),
    "lease": 60,
    "limit": 200,
    "event_types": ["thing.happened"],
    "queues": ["celery"],
    "rooms": [200],
    "marks": [float("-inf")],
    "mark": float("-inf"),
    "since": float("-inf"),
    "ready": False,
    "tasks": ["tests.happened"],
    "prefixes": [],
    "ids": [uuid.uuid4() for _ in range(200)],
    "id": uuid.uuid4(),
    "redispatch": 300,
    "delay": 1.0,
    "unsent": True,
    "suspect": False,
    "error": "it broke",
    "max_attempts": 10,
    "seconds": 300,
    "counted": False,
    "taken_at": "2026-01-01",
}
PK = "outbox_message_pkey"
HOT: dict[str, tuple[str, set[str]]] = {
    "claim_pending": (statements.CLAIM_PENDING, {"outbox_pending", PK}),
    "claim_pending_suspect": (statements.CLAIM_PENDING_SUSPECT, {"outbox_suspect", PK}),
    "claim_ready": (statements.CLAIM_READY, {"outbox_ready", PK}),
    "claim_overdue": (statements.CLAIM_OVERDUE, {"outbox_dispatched", PK}),
    "claim_unsent_suspect": (statements.CLAIM_UNSENT_SUSPECT, {"outbox_suspect", PK}),
    "any_due_pending": (read_statements.ANY_DUE_PENDING, {"outbox_pending", "outbox_suspect"}),
    "any_due_to_send": (
        read_statements.ANY_DUE_TO_SEND,
        {"outbox_ready", "outbox_dispatched", "outbox_suspect"},
    ),
    "waiting": (
        read_statements.WAITING,
        {"outbox_pending", "outbox_ready", "outbox_suspect"},
    ),
    "in_flight": (read_statements.IN_FLIGHT, {"outbox_dispatched"}),
    "in_flight_since": (read_statements.IN_FLIGHT_SINCE, {"outbox_dispatched"}),
    "ready_queues": (read_statements.READY_QUEUES, {"outbox_ready", "outbox_suspect"}),
    # The first statement of these limits the wait, and has no plan.
    "hold": (statements.HOLD.partition(";")[2], {PK}),
    "mark_ready": (statements.MARK_READY, {PK}),
    "mark_dispatched": (statements.MARK_DISPATCHED, {PK}),
    "release": (statements.RELEASE, {PK}),
    "fail": (statements.FAIL, {PK}),
    "lock_free": (task_statements.LOCK_FREE, {PK}),
    "lock": (task_statements.LOCK.partition(";")[2], {PK}),
    "begin_try": (task_statements.BEGIN_TRY, {PK}),
    "fail_try": (task_statements.FAIL_TRY, {PK}),
    "complete": (task_statements.COMPLETE, {PK}),
    "look_up": (read_statements.LOOK_UP_LIVE, {PK}),
    "dead_ids": (read_statements.DEAD_IDS, {"outbox_dead"}),
}
Plan = list[dict[str, Any]]


@pytest.fixture(scope="module")
def backlog(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """100,000 live rows, most of them in a queue that is full."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        for queue, state, number, due_in, suspect in BACKLOGS:
            cursor.execute(
                BACKLOG,
                {
                    "queue": queue,
                    "state": state,
                    "number": number,
                    "due_in": due_in,
                    "suspect": suspect,
                },
            )
        cursor.execute("VACUUM ANALYZE outbox_message")
        yield
        cursor.execute("TRUNCATE outbox_message")


def explain(statement: str, options: str = "", parameters: dict[str, Any] = PARAMETERS) -> Plan:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON {options}) {statement}", parameters)
        return list(nodes(_loaded(cursor.fetchone()[0])["Plan"]))


def explain_generic(statement: str) -> Plan:
    """The plan that holds for every parameter: what a prepared statement gets in the long run."""
    names: list[str] = []

    def number(match: re.Match[str]) -> str:
        if match[1] not in names:
            names.append(match[1])
        return f"${names.index(match[1]) + 1}"

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute("PREPARE hot AS " + re.sub(r"%\((\w+)\)s", number, statement))
        values = ", ".join("NULL" for _ in names)
        cursor.execute(f"EXPLAIN (FORMAT JSON) EXECUTE hot {f'({values})' if names else ''}")
        plan = cursor.fetchone()[0]
        cursor.execute("DEALLOCATE hot")
        return list(nodes(_loaded(plan)["Plan"]))


def _loaded(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = (json.loads(answer) if isinstance(answer, str) else answer)[0]
    return found


@pytest.mark.usefixtures("backlog")
@pytest.mark.django_db
@pytest.mark.parametrize("generic", [False, True], ids=["custom", "generic"])
@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_uses_its_index(name: str, generic: bool) -> None:
    statement, indexes = HOT[name]
    plan = explain_generic(statement) if generic else explain(statement)
    used = {node["Index Name"] for node in plan if "Index Name" in node}
    assert used == indexes
    assert not [
        node
        for node in plan
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] == "outbox_message"
    ]


def _read(plan: Plan) -> int:
    """Rows that the scans of the live table looked at."""
    return sum(
        int(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)))
        for node in plan
        if node.get("Relation Name") == "outbox_message" and "Scan" in node["Node Type"]
    )


@pytest.mark.usefixtures("backlog")
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "rows", "buffers"),
    [
        ("claim_pending", 400, 10_000),
        ("claim_ready", 400, 10_000),
        ("claim_overdue", 400, 10_000),
        ("any_due_pending", 2, 50),
        ("any_due_to_send", 3, 500),
        ("ready_queues", 400, 500),
        ("waiting", 201, 500),
    ],
)
def test_the_backlog_of_a_full_queue_is_not_read(name: str, rows: int, buffers: int) -> None:
    with transaction.atomic():
        plan = explain(HOT[name][0], ", ANALYZE, BUFFERS")
        transaction.set_rollback(True)
    assert _read(plan) <= rows
    assert plan[0]["Shared Hit Blocks"] + plan[0]["Shared Read Blocks"] <= buffers


@pytest.mark.usefixtures("backlog")
@pytest.mark.django_db
def test_a_heap_of_messages_of_another_version_is_not_read_through() -> None:
    parameters = PARAMETERS | {"event_types": ["thing.of.this.version"]}
    plan = explain(read_statements.WAITING, ", ANALYZE, BUFFERS", parameters)
    assert _read(plan) <= 1_200
    assert "Seq Scan" not in {node["Node Type"] for node in plan}


@pytest.mark.usefixtures("backlog")
@pytest.mark.django_db
def test_a_full_queue_alone_costs_a_claim_nothing() -> None:
    with transaction.atomic():
        parameters = PARAMETERS | {"queues": [], "rooms": []}
        plan = explain(statements.CLAIM_READY, ", ANALYZE, BUFFERS", parameters)
        transaction.set_rollback(True)
    assert _read(plan) == 0
