from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
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
