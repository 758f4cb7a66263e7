"""How PostgreSQL runs the statements of a group, in large tables and in empty ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from app.arrival import find_known, store_new
from tests.app.arrivals import arrival
from tests.plan import nodes
from tests.sql import query

pytestmark = pytest.mark.django_db

Plan = list[dict[str, Any]]


@pytest.fixture(scope="module")
def large(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """As many Posts and deliveries as some days bring."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO app_delivery (webhook_id, digest, message_id)"
            " SELECT 'msg_' || n, sha256('x'), gen_random_uuid() FROM generate_series(1, 50000) n;"
            "INSERT INTO app_post (source_id) SELECT 'post-' || n FROM generate_series(1, 50000) n"
        )
        cursor.execute("ANALYZE app_delivery, app_post")
        yield
        cursor.execute("TRUNCATE app_delivery, app_post CASCADE")


def plan_of(statement: str, parameters: Mapping[str, Any]) -> Plan:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
        [[answer]] = cursor.fetchall()
    return list(nodes((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]))


class Explained:
    """Stands for a session, and keeps the plans of what it is asked to run."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []

    def run(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        self.plans.append(plan_of(statement, parameters))
        return []


def plan_of_a_group(number: int) -> Plan:
    explained = Explained()
    store_new([arrival(f"msg_{n}", f"post-{n}") for n in range(number)], explained.run)
    return explained.plans[0]


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("number", [1, 20, 200])
def test_a_group_reads_nothing_but_what_it_looks_for(number: int) -> None:
    plan = plan_of_a_group(number)
    assert {
        node["Relation Name"]
        for node in plan
        if "Scan" in node["Node Type"] and "Relation Name" in node
    } == {"app_post"}
    assert not [node for node in plan if node["Node Type"] == "Seq Scan"]


@pytest.mark.parametrize("number", [1, 20, 200])
def test_rows_are_written_in_an_order_that_all_processes_share(number: int) -> None:
    """In each table by its key, sorted after what the rows come from, so one after the other."""
    plan = plan_of_a_group(number)
    inserts = {node["Relation Name"]: node for node in plan if node["Node Type"] == "ModifyTable"}
    for table, key in ("app_delivery", "webhook_id"), ("app_post", "source_id"):
        below = list(nodes(inserts[table]))
        keys = [node["Sort Key"] for node in below if node["Node Type"].endswith("Sort")]
        assert any(key in each[0] for each in keys), below
    assert [node["CTE Name"] for node in nodes(inserts["app_post"]) if "CTE Name" in node] == [
        "accepted"
    ]


@pytest.mark.usefixtures("large")
def test_known_ones_are_found_by_their_index() -> None:
    explained = Explained()
    find_known([f"msg_{n}" for n in range(20)], explained.run)
    assert "Seq Scan" not in {node["Node Type"] for node in explained.plans[0]}


def test_the_plan_of_a_group_has_all_three_tables() -> None:
    tables = {node["Relation Name"] for node in plan_of_a_group(2) if "Relation Name" in node}
    assert tables == {"app_delivery", "app_post", "outbox_message"}
    assert query("SELECT count(*) FROM outbox_message") == [(0,)]
