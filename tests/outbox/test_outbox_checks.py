"""A mistake in `settings.OUTBOX` is found at start, with an id and what to do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.core import checks
from django.test import override_settings


def found(**outbox: Any) -> dict[str, Any]:
    """The outbox's findings on these settings: message and hint by id."""
    with override_settings(OUTBOX=outbox):
        messages = checks.run_checks()
    return {
        message.id: message
        for message in messages
        if message.id is not None and message.id.startswith("outbox.")
    }


def test_the_defaults_are_sound() -> None:
    assert found() == {}


@pytest.mark.parametrize(
    ("outbox", "check", "says"),
    [
        ({"DATABASE": "elsewhere"}, "outbox.E001", "default"),
        ({"LEASE_SECOND": 5}, "outbox.E003", "LEASE_SECONDS"),
        ({"LEASE_SECONDS": 0}, "outbox.E004", "above zero"),
        ({"LEASE_SECONDS": "60"}, "outbox.E004", "above zero"),
        ({"MAX_ATTEMPTS": True}, "outbox.E004", "above zero"),
        ({"MAX_IN_FLIGHT": -1}, "outbox.E004", "above zero"),
        ({"HISTORY_DAYS": None}, "outbox.E004", "above zero"),
        ({"LEASE_SECONDS": 9, "PUBLISH_SECONDS": 5}, "outbox.E005", "LEASE_SECONDS"),
        ({"TASKS": "shop."}, "outbox.E006", "list"),
        ({"TASKS": [""]}, "outbox.E006", "list"),
        ({"REPLICA_MODELS": "app.Post"}, "outbox.E006", "list"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(outbox: Any, check: str, says: str) -> None:
    findings = found(**outbox)
    assert findings.keys() == {check}
    assert says in findings[check].hint


def test_another_database_than_postgresql_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = SimpleNamespace(vendor="sqlite")
    monkeypatch.setattr("outbox.checks.connections", {"default": other})
    assert "SKIP LOCKED" in found()["outbox.E002"].hint


def test_psycopg_3_beside_psycopg2_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "outbox.E007" not in found()
    monkeypatch.setattr("outbox.checks.is_psycopg3", True)
    assert "outbox.E007" in found()
