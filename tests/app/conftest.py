from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from django.test import Client

from app import health
from tests.factories import SECRET, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


@pytest.fixture
def send_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Sends a file, by default one of a few bytes, with `manage.py webhook send`.

    Gives the exit code, and what was printed with the complaint at its end.
    """
    path = tmp_path / "to-send.json"

    def send_file(url: str, *words: str, body: bytes = b"{}") -> tuple[int, str]:
        path.write_bytes(body)
        capsys.readouterr()
        code, complaint = 0, ""
        try:
            call_command("webhook", "send", str(path), url, *words)
        except CommandError as error:
            code, complaint = error.returncode, str(error)
        printed = capsys.readouterr().out + complaint
        assert not any(secret[6:20] in printed for secret in settings.WEBHOOK_SECRETS)
        return code, printed

    return send_file


@pytest.fixture
def open_connections() -> Iterator[None]:
    """As Django's own test client does it: a request would close the connection of the test."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)
