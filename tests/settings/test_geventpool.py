"""The pool of the web process, beside the stock one whose faults it mends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCENARIOS = Path(__file__).with_name("pool_scenarios.py")
OURS = "settings.geventpool"
STOCK = "django_db_geventpool.backends.postgresql_psycopg2"
CONNECTIONS = 4
# Ours never waits without end, so that its patience costs no time; on a busy machine it is needed.
PATIENCE_SECONDS = {OURS: 20.0, STOCK: 1.5}

Told = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def told() -> dict[str, Told]:
    """What each pool did in each scenario; the two run side by side."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    processes = {
        engine: subprocess.Popen(
            [sys.executable, str(SCENARIOS), engine, str(patience)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for engine, patience in PATIENCE_SECONDS.items()
    }
    result = {}
    for engine, process in processes.items():
        try:
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 0, errors
        result[engine] = json.loads(output)
    return result


@pytest.fixture
def ours(told: dict[str, Told]) -> Told:
    return told[OURS]


@pytest.fixture
def stock(told: dict[str, Told]) -> Told:
    return told[STOCK]


def test_a_cold_start_opens_no_more_connections_than_allowed(ours: Told, stock: Told) -> None:
    assert ours["cold_start"] == {"most": CONNECTIONS, "outcomes": ["ok"]}
    assert stock["cold_start"]["most"] > CONNECTIONS
    assert stock["cold_start"]["outcomes"] == ["ok"]  # it is the limit alone that it misses


def test_an_exhausted_pool_answers_within_its_deadline(ours: Told, stock: Told) -> None:
    during = ours["exhausted"]["during"]
    assert during.startswith("PoolExhausted: All 4 connections of the pool 'exhausted'")
    assert ours["exhausted"]["backends"] == CONNECTIONS
    assert ours["exhausted"]["after"] == "ok"
    # Until a connection comes back, however long that takes, and not since one cannot be opened.
    assert stock["exhausted"] == {
        "during": "endless wait",
        "backends": CONNECTIONS,
        "after": "ok",
    }


def test_a_pool_whose_connections_are_killed_under_load_recovers(ours: Told, stock: Told) -> None:
    assert ours["terminated"]["killed"] == CONNECTIONS
    assert ours["terminated"]["after"] == ["ok"]
    assert 1 <= ours["terminated"]["backends"] <= CONNECTIONS
    # All wait for connections of which there is none: it counts the dead ones as lent, for good.
    assert stock["terminated"]["killed"] >= CONNECTIONS
    assert stock["terminated"]["after"] == ["endless wait"]
    assert stock["terminated"]["backends"] == 0


def test_connections_killed_while_idle_are_replaced_unnoticed(ours: Told) -> None:
    assert ours["terminated_while_idle"]["after"] == ["ok"]


def test_the_isolation_level_is_honoured(ours: Told, stock: Told) -> None:
    assert ours["isolation_level"]["level"] == "serializable"
    assert stock["isolation_level"]["level"] == "read committed"


def test_an_interrupted_query_costs_no_other_connection(ours: Told, stock: Told) -> None:
    assert ours["interrupted"] == {"idle": CONNECTIONS - 1, "after": "ok"}
    assert stock["interrupted"]["idle"] == 0


def test_forgotten_connections_come_back_as_permits(ours: Told) -> None:
    assert ours["forgotten"]["after"] == ["ok"]


def test_another_database_of_the_same_alias_has_a_pool_of_its_own(ours: Told) -> None:
    assert ours["other_database"] == {"other": "postgres", "own": True}


def test_a_forked_process_does_not_use_its_parents_connection(ours: Told, stock: Told) -> None:
    assert ours["forked"] == {"own": True, "kept": True}
    assert stock["forked"]["own"] is False


def test_the_session_has_the_projects_time_zone(ours: Told, stock: Told) -> None:
    assert ours["time_zone"]["zone"] == "UTC"
    assert stock["time_zone"]["zone"] == "Asia/Tokyo"


def test_a_transaction_left_open_is_rolled_back(ours: Told) -> None:
    idle = 0
    assert ours["left_open"] == {"autocommit": True, "status": idle}


def test_a_server_that_never_answers_costs_only_the_connect_timeout(
    ours: Told, stock: Told
) -> None:
    assert ours["unreachable"]["during"].startswith("OperationalError: No connection for the pool")
    assert stock["unreachable"]["during"] == "endless wait"


def test_a_host_that_is_frozen_is_left_for_the_next_one(ours: Told, stock: Told) -> None:
    assert ours["first_host_frozen"] == {"during": "ok"}
    assert stock["first_host_frozen"] == {"during": "endless wait"}
