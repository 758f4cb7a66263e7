"""A claim follows its index also where the statistics know of next to nothing that is due."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from outbox import statements
from outbox.database import run_alone
from tests.outbox.test_explain import BACKLOG, PARAMETERS
from tests.plan import nodes

NUMBER = 20_000
CLAIMS = {
    "pending": (statements.CLAIM_PENDING, "outbox_pending"),
    "ready": (statements.CLAIM_READY, "outbox_ready"),
    "dispatched": (statements.CLAIM_OVERDUE, "outbox_dispatched"),
}


@pytest.fixture(params=CLAIMS)
def state(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """Many have been in it, few were when they were counted, and many are now."""
    row = {"queue": "celery", "due_in": 0, "suspect": False, "state": request.param}
    with connection.cursor() as cursor:
        cursor.execute(BACKLOG, {**row, "number": NUMBER})
        cursor.execute("DELETE FROM outbox_message")
        cursor.execute(BACKLOG, {**row, "number": 5})
        cursor.execute("ANALYZE outbox_message")
        cursor.execute(BACKLOG, {**row, "number": NUMBER})
        yield request.param
        cursor.execute("TRUNCATE outbox_message")


def test_a_claim_reads_no_more_than_it_takes(state: str) -> None:
    statement, index = CLAIMS[state]
    [[found]] = run_alone(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", **PARAMETERS)
    plan = list(nodes(found[0]["Plan"]))
    [scan] = [node for node in plan if node.get("Index Name") == index]
    assert scan["Node Type"] == "Index Scan"
    assert _rows(scan) <= 2 * PARAMETERS["limit"]


def _rows(node: dict[str, Any]) -> float:
    read: float = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return read * float(node["Actual Loops"])
