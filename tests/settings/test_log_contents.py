"""The logs tell what happened, and hold nothing that was sent in confidence."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg2
import pytest
from django.test import Client

from app import group_commit
from tests.factories import SECRET, event, signed_delivery
from tests.service import Service, database_url, running
from tests.sql import query
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

URL = "/webhooks/posts/"
TOKEN, GUESS = "a-token-of-these-tests", "a-token-that-was-guessed"
ID = "6f1dc0de-0000-4000-8000-000000000000"  # who knows it may ask what has become of the message
WORDS = {"title": "Marmalade", "body": "Gooseberry", "categories": ["Bilberry"], "tags": ["Sloe"]}


class Log:
    """What was sent to a service, and what its processes have written."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._secrets = {service.secret, service.secret.removeprefix("whsec_"), TOKEN, GUESS, ID}
        for url in (database_url("default"), os.environ["CELERY_BROKER_URL"]):
            password = unquote(urlsplit(url).password or "")
            if len(password) > 8:  # "guest" is in no confidence, and may be in a name
                self._secrets.add(password)

    def send(self, body: bytes, webhook_id: str, **changed: str) -> int:
        headers = self._service.signed(body, webhook_id) | {
            name.replace("_", "-"): value for name, value in changed.items()
        }
        self._secrets.add(headers["webhook-signature"].removeprefix("v1,"))
        return self._service.ask("POST", URL, body, **headers).status

    def text(self) -> str:
        logs = [process.log for process in self._service.processes.values()]
        return "\n".join(log.read_text() for log in logs if log is not None)

    def assert_keeps_to_itself(self) -> None:
        text = self.text()
        told = [word for word in (*_words(WORDS), *self._secrets) if word in text]
        assert told == [], text


def _words(content: dict[str, Any]) -> list[str]:
    return re.findall(r"\w+", " ".join(map(str, content.values())))


def content(**changes: Any) -> bytes:
    return json.dumps(event(**{**WORDS, **changes})).encode()


@pytest.fixture
def holder() -> Any:
    """A session that can keep others out of a table."""
    connection = psycopg2.connect(database_url("default"))
    yield connection
    connection.close()


def test_the_web_process_logs_no_body_no_signature_and_no_secret(
    tmp_path: Path, holder: Any
) -> None:
    environment = {"DJANGO_LOG_LEVEL": "DEBUG", "READ_TOKENS": TOKEN}
    with running(tmp_path, only=("web",), **environment) as service:
        log = Log(service)
        assert log.send(content(), "msg_1") == 202
        assert log.send(content(), "msg_1") == 202
        assert log.send(content(title="Marmalade "), "msg_1") == 409
        assert log.send(content()[:-1], "msg_2") == 400
        assert log.send(content(tags=["Sloe", 1]), "msg_3") == 422
        assert log.send(content() + b" " * 1_048_576, "msg_4") == 413
        assert log.send(content(), "msg_5", content_type="text/Marmalade") == 415
        assert log.send(content(), "msg_6", webhook_signature="v1,Gooseberry=") == 401
        assert log.send(content(), "msg_7", webhook_timestamp=str(int(time.time()) - 900)) == 401
        assert log.send(content(), "{Sloe}") == 401
        for query in ("?q=Marmalade", "?tag=Sloe&q=Gooseberry", "?after=Bilberry"):
            for token in (TOKEN, GUESS):
                service.ask("GET", f"/posts/{query}", authorization=f"Bearer {token}")
        assert service.ask("GET", f"/messages/{ID}/").status == 404
        assert service.ask("GET", f"/messages/{ID}/", host=ID).status == 400
        holder.cursor().execute("LOCK TABLE outbox_message")
        assert log.send(content(), "msg_8") == 503
        assert service.ask("GET", f"/messages/{ID}/").status == 503
        holder.rollback()
        eventually(lambda: "lock timeout" in log.text() or "LockNotAvailable" in log.text())
        log.assert_keeps_to_itself()


@pytest.mark.slow
def test_no_process_logs_what_a_message_holds(tmp_path: Path) -> None:
    with running(tmp_path, DJANGO_LOG_LEVEL="DEBUG") as service:
        log = Log(service)
        assert log.send(content(), "msg_1") == 202
        eventually(lambda: query("SELECT id FROM outbox_history"), 30)
        log.assert_keeps_to_itself()
        assert "DEBUG" in log.text()


def test_a_fault_of_ours_is_logged_with_its_trace_and_without_the_body(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(group_commit, "store_arrival", broken)
    settings.WEBHOOK_SECRETS = [SECRET]
    delivery = signed_delivery(content())
    with caplog.at_level(logging.DEBUG):
        response = Client(raise_request_exception=False).post(URL, **delivery.request)
    assert response.status_code == 500
    assert "RuntimeError: a fault" in caplog.text
    sent = [*_words(WORDS), SECRET, delivery.headers["webhook-signature"]]
    assert [word for word in sent if word in caplog.text] == []
