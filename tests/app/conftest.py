from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test import Client

from app import health
from tests.factories import SECRET, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test.client import _MonkeyPatchedWSGIResponse as Response

    Send = Callable[[Delivery], Response]


@pytest.fixture(autouse=True)
def _front_door(settings: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The front door with a secret of the tests, whatever the environment gives."""
    settings.WEBHOOK_SECRETS = [SECRET]  # type: ignore[attr-defined]
    monkeypatch.setattr(health, "readiness", health.Readiness())


@pytest.fixture
def send() -> Send:
    """Send a delivery to the webhook, with a client of its own: threads may share the fixture."""

    def post(delivery: Delivery) -> Response:
        return Client().post("/webhooks/posts/", **delivery.request)

    return post


@pytest.fixture
def wait_until_blocked() -> Callable[[], None]:
    """Wait until another session of this database waits for a lock. Fails after 10 s."""

    def wait() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "DO $$ BEGIN FOR i IN 1..1000 LOOP"
                " PERFORM FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock';"
                " IF FOUND THEN RETURN; END IF;"
                " PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();"
                " END LOOP; RAISE 'nobody waits for a lock'; END $$"
            )

    return wait
