"""What nginx writes down of a request, and what it does not."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from tests.nginx.front import Front, Installation, running_nginx
from tests.service import free_port
from tests.waiting import eventually

MESSAGE = "6f1dc0de-0000-4000-8000-000000000000"


def test_no_log_has_a_query_a_header_or_the_id_of_a_message(alone: Front) -> None:
    alone.ask("GET", "/posts/?q=marmalade", headers={"authorization": "Bearer gooseberry"})
    alone.ask("GET", f"/messages/{MESSAGE}/", headers={"referer": "bilberry"})
    eventually(lambda: '"GET /posts/" 502' in alone.access_log(), 15)
    eventually(lambda: '"GET /messages/-/" 502' in alone.access_log(), 15)
    logs = alone.access_log() + alone.error_logs()
    assert not [w for w in ("marmalade", "gooseberry", MESSAGE, "bilberry") if w in logs]


@pytest.mark.parametrize(
    "path",
    [
        "/%6dessages/{}/",
        "/messages%2F{}/",
        "/posts/../messages/{}/",
        "/posts/%2e./messages/{}/",
        "/posts/..%2Fmessages/{}/",
        "/posts/a%2f../../messages/{}/",
        "/./messages/{}/",
    ],
)
def test_however_the_address_of_a_message_is_written_no_log_has_its_id(
    alone: Front, path: str
) -> None:
    message = str(uuid4())
    written = len(alone.access_log())
    alone.ask("GET", path.format(message))
    eventually(lambda: '"GET -" 502' in alone.access_log()[written:], 15)
    assert message not in alone.access_log() + alone.error_logs()


@pytest.mark.parametrize(
    ("method", "path", "logged"),
    [
        ("POST", "/webhooks/posts/", "POST /webhooks/posts/"),
        ("GET", "/posts/a%20b.c/?q=1", "GET /posts/a%20b.c/"),
        ("GET", "/openapi.json", "GET /openapi.json"),
        ("DELETE", "/", "DELETE /"),
    ],
)
def test_the_log_has_what_was_asked_for_and_not_the_page_of_the_error(
    alone: Front, method: str, path: str, logged: str
) -> None:
    written = len(alone.access_log())
    alone.ask(method, path)
    eventually(lambda: f'"{logged}" ' in alone.access_log()[written:], 15)


def test_of_a_request_that_is_limited_no_log_has_the_address(
    nginx: Installation, tmp_path: Path
) -> None:
    none = {"rate=20r/s": "rate=1r/m", "pillarbox_reads burst=100 nodelay": "pillarbox_reads"}
    with running_nginx(nginx, tmp_path, free_port(), **none) as front:
        answers = [front.ask("GET", f"/messages/{MESSAGE}/?q=marmalade") for _ in range(2)]
        eventually(lambda: '"GET /messages/-/" 429' in front.access_log(), 15)
        logs = front.access_log() + front.error_logs()
    assert [answer.status for answer in answers] == [502, 429]
    assert not [word for word in (MESSAGE, "marmalade") if word in logs]
