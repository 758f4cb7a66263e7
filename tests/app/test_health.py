from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from app import health


def test_livez_touches_no_database() -> None:
    response = Client().get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_readyz_tells_what_it_has_looked_at() -> None:
    response = Client().get("/readyz")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ready",
        "checks": {"database": "ok", "migrations": "ok", "admission": "ok"},
    }


@pytest.mark.django_db
def test_a_missing_migration_makes_it_unready_until_it_is_applied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recorder = MigrationRecorder(connection)
    [latest] = MigrationLoader(connection).graph.leaf_nodes("app")
    recorder.record_unapplied(*latest)
    response = Client().get("/readyz")
    assert response.status_code == 503
    checks = {"database": "ok", "migrations": "unapplied", "admission": "ok"}
    assert response.json()["checks"] == checks
    monkeypatch.setattr(health, "FRESH_SECONDS", 0.0)
    recorder.record_applied(*latest)
    assert Client().get("/readyz").status_code == 200


@pytest.mark.django_db
def test_an_answer_stands_for_a_moment_and_the_migrations_for_good(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    Client().get("/readyz")
    with django_assert_num_queries(0):
        Client().get("/readyz")
    monkeypatch.setattr(health, "FRESH_SECONDS", 0.0)
    with django_assert_num_queries(1):
        Client().get("/readyz")


def test_many_probes_at_once_are_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    readiness = health.Readiness()
    everybody = threading.Barrier(10)

    def look(_: health.Readiness) -> dict[str, str]:
        looks.append(1)
        time.sleep(0.2)  # whoever does not wait for this look begins one of his own
        return {"database": "ok"}

    def probe(_: int) -> dict[str, str]:
        everybody.wait(20)
        return readiness.checks()

    monkeypatch.setattr(health.Readiness, "_look", look)
    with ThreadPoolExecutor(10) as probes:
        assert list(probes.map(probe, range(10))) == [{"database": "ok"}] * 10
    assert len(looks) == 1


def test_a_look_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.05)
    readiness = health.Readiness()
    with readiness._looking:
        assert readiness.checks() == health.UNREACHABLE


def test_a_database_that_is_away_makes_it_unready(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: str) -> None:
        raise OperationalError("connection refused: host 10.0.0.1")

    monkeypatch.setattr(health, "run", away)
    response = Client().get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "status": "unavailable",
        "checks": {"database": "unreachable", "migrations": "unknown", "admission": "ok"},
    }
