from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from rest_framework.test import APIClient

from blog import webhook
from tests.receiver import Receiver


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    receiver = Receiver()
    with httpx.Client(transport=httpx.MockTransport(receiver)) as client:
        monkeypatch.setattr(webhook, "client", lambda: client)
        yield receiver


@pytest.fixture
def api() -> APIClient:
    return APIClient()
