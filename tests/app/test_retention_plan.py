"""Old deliveries are found by their index, in a ledger of any age."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from outbox.pruning import _statement
from tests.plan import nodes

INDEX = "app_delivery_received_at"


@pytest.fixture(scope="module")
def ledger(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Three weeks of deliveries, two of them too old."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO app_delivery (webhook_id, digest, message_id, received_at)"
            " SELECT 'msg_' || n, sha256('x'), gen_random_uuid(), now() - n * interval '1 minute'"
            " FROM generate_series(1, 21 * 24 * 60) AS n"
        )
        cursor.execute("VACUUM ANALYZE app_delivery")
        yield
        cursor.execute("TRUNCATE app_delivery")


@pytest.mark.usefixtures("ledger")
@pytest.mark.django_db
@pytest.mark.parametrize("days", [1, 7, 20, 30])
def test_a_batch_goes_by_the_index_and_reads_nothing_else(days: int) -> None:
    before = timezone.now() - timedelta(days=days)
    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (FORMAT JSON, ANALYZE) {_statement('app_delivery', 'received_at')}",
            {"since": "-infinity", "before": before, "limit": 1000},
        )
        [[answer]] = cursor.fetchall()
    plan = list(nodes((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]))
    scans = [node for node in plan if node.get("Relation Name") and "Scan" in node["Node Type"]]
    assert sorted(node["Node Type"] for node in scans) == ["Index Scan", "Tid Scan"]
    assert [node["Index Name"].startswith(INDEX) for node in scans if "Index Name" in node] == [
        True
    ]
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in scans) <= 2 * 1000
