"""The real web process, and callers that do not behave."""

from __future__ import annotations

import time
from contextlib import suppress

import psycopg2
import pytest

from tests.service import Service, database_url
from tests.settings.raw import (
    ALIVE,
    BODY_SECONDS,
    CHUNKED,
    HEAD_SECONDS,
    LOGIN,
    POST,
    PROBE,
    Reply,
    connect,
    exchange,
    log_of,
    only,
    replies,
    until_closed,
)

pytestmark = pytest.mark.django_db

EVENT = {"type": "post.deleted", "timestamp": "2026-03-01T12:00:00Z", "data": {"id": "1"}}


def test_a_table_that_is_locked_costs_a_second_and_a_503(web: Service) -> None:
    holder = psycopg2.connect(database_url("default"))
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


def test_a_body_that_does_not_end_is_given_up(web: Service) -> None:
    began = time.monotonic()
    reply = only(exchange(web, POST, b"Content-Length: 100\r\n\r\nx"))
    assert reply.problem()["status"] == 400
    assert BODY_SECONDS <= time.monotonic() - began < BODY_SECONDS + 3
    assert "Traceback" not in log_of(web)


def test_the_rest_of_a_body_that_was_given_up_is_not_taken_for_a_request(web: Service) -> None:
    with connect(web) as caller:
        caller.sendall(POST + CHUNKED + b"ff\r\nabc")
        answers = caller.recv(65_536)
        caller.sendall(ALIVE + b"\r\n")
        answers += until_closed(caller)
    assert only(replies(answers)).status == 400


@pytest.mark.parametrize("rest", [CHUNKED + b"zz\r\n", b"Content-Length: 100\r\n\r\nx"])
def test_a_bad_body_that_nobody_wants_closes_the_connection(web: Service, rest: bytes) -> None:
    assert only(exchange(web, PROBE, rest)).status == 405
    assert "Traceback" not in log_of(web)


@pytest.mark.slow
def test_a_form_of_the_admin_that_does_not_end_is_given_up(web: Service) -> None:
    form = b"Content-Type: application/x-www-form-urlencoded\r\nCookie: csrftoken=" + b"a" * 32
    assert only(exchange(web, LOGIN, form, b"\r\nContent-Length: 100\r\n\r\nx")).status == 403
    assert "Traceback" not in log_of(web)


def test_bytes_that_drip_do_not_prolong_the_deadline(web: Service) -> None:
    assert drip(web, POST + b"Content-Length: 1000\r\n\r\n", within=BODY_SECONDS).status == 400


def test_headers_that_drip_do_not_prolong_the_deadline_which_begins_with_the_first_byte(
    web: Service,
) -> None:
    reply = drip(web, b"P", within=HEAD_SECONDS, idle=HEAD_SECONDS / 4)
    assert reply.problem()["status"] == 408


def drip(web: Service, begun: bytes, within: float, idle: float = 0.1) -> Reply:
    """Send a byte now and then until the answer comes, which is not before its time."""
    with connect(web, timeout=idle) as caller:
        with suppress(TimeoutError):
            caller.recv(1)  # it asks nothing for a while
        caller.settimeout(0.1)
        began = time.monotonic()
        caller.sendall(begun)
        answer = b""
        while not answer and time.monotonic() - began < within + 4:
            caller.sendall(b"x")
            with suppress(TimeoutError):
                answer = caller.recv(65_536)
        assert within <= time.monotonic() - began < within + 3
        caller.settimeout(8)
        reply = only(replies(answer + until_closed(caller)))
        assert reply.closes
        return reply
