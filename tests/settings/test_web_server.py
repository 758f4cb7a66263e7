"""The real web process, and callers that do not behave."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg2
import pytest
from pytest_django import DjangoDbBlocker

from deploy.devstack import application
from tests.service import Service, database_url, free_port
from tests.waiting import eventually

BODY_SECONDS = 1
POST = b"POST /webhooks/posts/ HTTP/1.1\r\nHost: localhost\r\n"
PROBE = b"POST /livez HTTP/1.1\r\nHost: localhost\r\n"
LOGIN = b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
EVENT = {"type": "post.deleted", "timestamp": "2026-03-01T12:00:00Z", "data": {"id": "1"}}


@pytest.fixture(scope="module")
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> str:
    with django_db_blocker.unblock():
        return database_url("default")


@pytest.fixture(scope="module")
def web(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The web process alone, with little patience for a body."""
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    given = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "settings.base",
        "WEB_BODY_SECONDS": str(BODY_SECONDS),
        "WEB_CONCURRENCY": "1",
    }
    port = free_port()
    env = application.environment({"DATABASE_URL": database}, {"WEBHOOK_SECRETS": secret}, given)
    process, patience = application.processes(port, tmp_path_factory.mktemp("web"), env)[0]
    service = Service(port, secret, {"web": process})

    def answers() -> bool:
        assert process.poll() is None, process.complaint("ended")
        with suppress(OSError):
            return service.ask("GET", "/livez").status == 200
        return False

    process.start()
    try:
        eventually(answers, 30)
        yield service
    finally:
        process.stop(patience)


def log_of(web: Service) -> str:
    log = web.processes["web"].log
    assert log is not None
    return log.read_text()


def exchange(web: Service, *parts: bytes, hang_up: bool = False) -> tuple[bytes, bytes]:
    """Send the parts, and read until the server closes: the head and the body of its answer."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=8) as caller:
        for part in parts:
            caller.sendall(part)
        if hang_up:
            caller.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: caller.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def assert_problem(answer: tuple[bytes, bytes], status: int) -> dict[str, Any]:
    head, body = answer
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"content-type: application/problem+json" in head.lower()
    document: dict[str, Any] = json.loads(body)
    assert document["status"] == status
    return document


def test_a_table_that_is_locked_costs_a_second_and_a_503(web: Service, database: str) -> None:
    holder = psycopg2.connect(database)
    try:
        holder.cursor().execute("LOCK TABLE app_delivery")
        began = time.monotonic()
        answer = web.deliver(EVENT)
        took = time.monotonic() - began
    finally:
        holder.close()
    assert answer.status == 503
    assert answer.headers["retry-after"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert took < 4


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n",
        b"-1\r\nx\r\n",
        b"\r\n\r\n",
        b"2\r\nabcd\r\n0\r\n\r\n",
        b"2 ;=\r\nab\r\n0\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
    ],
)
def test_a_body_in_bad_chunks_is_refused_without_a_traceback(web: Service, body: bytes) -> None:
    assert_problem(exchange(web, POST, CHUNKED, body), 400)
    assert "Traceback" not in log_of(web)


@pytest.mark.parametrize(
    "rest",
    [
        CHUNKED + b"a\r\nabc",
        CHUNKED + b"3\r\nabc\r\n",
        CHUNKED + b"0\r\n",
        b"Content-Length: 10\r\n\r\nabc",
    ],
)
def test_a_body_that_is_cut_off_is_refused_without_a_traceback(web: Service, rest: bytes) -> None:
    assert_problem(exchange(web, POST, rest, hang_up=True), 400)
    assert "Traceback" not in log_of(web)


def test_a_body_that_does_not_end_is_given_up(web: Service) -> None:
    began = time.monotonic()
    assert_problem(exchange(web, POST, b"Content-Length: 100\r\n\r\nx"), 400)
    assert BODY_SECONDS <= time.monotonic() - began < BODY_SECONDS + 3
    assert "Traceback" not in log_of(web)


def test_the_rest_of_a_body_that_was_given_up_is_not_taken_for_a_request(web: Service) -> None:
    with socket.create_connection(("127.0.0.1", web.port), timeout=8) as caller:
        caller.sendall(POST + CHUNKED + b"ff\r\nabc")
        answers = caller.recv(65_536)
        with suppress(OSError):
            caller.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while more := caller.recv(65_536):
                answers += more
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "rest",
    [
        CHUNKED + b"zz\r\n",
        pytest.param(b"Content-Length: 100\r\n\r\nx", marks=pytest.mark.slow),
    ],
    ids=["bad chunk", "no end"],
)
def test_a_bad_body_that_nobody_wants_closes_the_connection(web: Service, rest: bytes) -> None:
    head, body = exchange(web, PROBE, rest)
    assert head.startswith(b"HTTP/1.1 405 ")
    assert b"HTTP/1.1" not in body
    assert "Traceback" not in log_of(web)


@pytest.mark.slow
def test_a_form_of_the_admin_that_does_not_end_is_given_up(web: Service) -> None:
    form = b"Content-Type: application/x-www-form-urlencoded\r\nCookie: csrftoken=" + b"a" * 32
    head, _ = exchange(web, LOGIN, form, b"\r\nContent-Length: 100\r\n\r\nx")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert "Traceback" not in log_of(web)


def test_bytes_that_drip_do_not_prolong_the_deadline(web: Service) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", web.port), timeout=0.1) as caller:
        caller.sendall(POST + b"Content-Length: 1000\r\n\r\n")
        answer = b""
        while not answer and time.monotonic() - began < BODY_SECONDS + 4:
            with suppress(OSError):
                caller.sendall(b"x")
            with suppress(TimeoutError):
                answer = caller.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 400 ")
