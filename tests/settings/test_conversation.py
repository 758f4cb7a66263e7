"""What comes when on a connection to the web process, and what ends it."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import pytest

from settings.caller import LINGER_BYTES, LINGER_SECONDS
from tests.service import Service
from tests.settings.flood import Flood, flooding
from tests.settings.raw import (
    ALIVE,
    BODY_SECONDS,
    CHUNKED,
    CONTINUE,
    POST,
    PROBE,
    connect,
    delivery,
    exchange,
    log_of,
    only,
    replies,
    until_closed,
)
from tests.sql import query

NEXT = ALIVE + b"\r\n"
LIMIT = 1_048_576
EXPECT = b"Expect: 100-Continue\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n"
EVENT = {"type": "post.deleted", "timestamp": "2026-03-01T12:00:00Z", "data": {"id": "1"}}
OFF_SECONDS = 3.0
"""How long an honest delivery may take beside a flood, on a busy machine too."""

# One kind of database for all: two would be two parts of the run, and two web processes.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (PROBE, 405),
        (b"POST /nothing/ HTTP/1.1\r\nHost: localhost\r\n", 404),
        (b"DELETE /webhooks/posts/ HTTP/1.1\r\nHost: localhost\r\n", 405),
        (POST, 413),
    ],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_caller_who_still_sends_reads_the_answer_and_not_a_reset(
    web: Service, head: bytes, status: int, *, chunked: bool
) -> None:
    rest = b"x" * (2 * LIMIT)
    framed = CHUNKED + b"%x\r\n" % len(rest) if chunked else LENGTH % len(rest)
    reply = only(exchange(web, head, framed, rest, NEXT))
    assert reply.problem()["status"] == status
    assert reply.closes


MOST_READ = LIMIT + 2 * LINGER_BYTES + 8_388_608
"""The limit, what is discarded behind the answer, and what may wait in the server's socket."""


@pytest.mark.parametrize("framed", [LENGTH % 10**12, CHUNKED + b"ffffffffff\r\n"])
def test_a_body_beyond_the_limit_is_not_read_to_its_end(web: Service, framed: bytes) -> None:
    sent, piece = 0, b"x" * 65_536
    began = time.monotonic()
    with connect(web) as caller, suppress(ConnectionError):
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(piece))
        caller.sendall(POST + framed)
        while sent < 2 * MOST_READ:
            sent += caller.send(piece)
    assert sent < MOST_READ
    assert time.monotonic() - began < 8


def test_a_request_within_a_body_that_nobody_read_is_not_executed(web: Service) -> None:
    smuggled = b"".join(delivery(web, "msg_smuggled"))
    reply = only(exchange(web, PROBE, LENGTH % len(smuggled) + smuggled + NEXT))
    assert reply.status == 405
    assert query("SELECT count(*) FROM app_delivery") == [(0,)]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (PROBE + EXPECT + LENGTH % 3, 405),
        (POST + EXPECT + LENGTH % 10**9, 413),
        (b"POST /no HTTP/1.1\r\nHost: localhost\r\n" + EXPECT + CHUNKED, 404),
        (POST.replace(b"1.1", b"1.0") + EXPECT + LENGTH % 3 + b"abc", 401),
        (POST + EXPECT + b"\r\n", 401),
    ],
    ids=["405", "413", "404", "HTTP/1.0", "no body"],
)
def test_a_body_that_is_not_wanted_is_not_asked_for(
    web: Service, request_: bytes, status: int
) -> None:
    assert only(exchange(web, request_, hang_up=True)).status == status


@pytest.mark.parametrize("more", [b"", b"abc"], ids=["waits", "does not wait"])
def test_a_body_that_is_wanted_is_asked_for_once(web: Service, more: bytes) -> None:
    with connect(web) as caller:
        caller.sendall(POST + EXPECT + LENGTH % 3 + more)
        assert caller.recv(len(CONTINUE)) == CONTINUE
        caller.sendall(
            (b"" if more else b"abc") + NEXT.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        )
        first, second = replies(until_closed(caller))
    assert (first.status, first.closes) == (401, False)
    assert (second.status, second.closes) == (200, True)


def test_deliveries_in_one_segment_are_answered_in_order(web: Service) -> None:
    sent = b"".join(b"".join(delivery(web, f"msg_{number}")) for number in range(3))
    answers = exchange(web, sent + PROBE + b"\r\n" + NEXT, hang_up=True)
    assert [answer.status for answer in answers] == [202, 202, 202, 405, 200]
    rows = query("SELECT webhook_id, message_id FROM app_delivery ORDER BY webhook_id")
    assert [row[0] for row in rows] == ["msg_0", "msg_1", "msg_2"]
    for (_, message_id), answer in zip(rows, answers, strict=False):
        assert str(message_id).encode() in answer.body


@pytest.mark.parametrize("option", [b"close", b"Keep-Alive, CLOSE", b"TE\r\nConnection: close"])
def test_nothing_is_executed_behind_the_last_request(web: Service, option: bytes) -> None:
    reply = only(exchange(web, ALIVE + b"Connection: " + option + b"\r\n\r\n" + NEXT))
    assert reply.status == 200
    assert reply.closes


def test_who_hangs_up_its_sending_side_gets_its_answer(web: Service) -> None:
    assert only(exchange(web, *delivery(web, "msg_half"), hang_up=True)).status == 202


def test_names_with_underscores_are_not_those_of_the_delivery(web: Service) -> None:
    mixed = delivery(web, "msg_real", b"webhook_id: msg_other\r\n", b"WEBHOOK_SIGNATURE: v1,x\r\n")
    assert only(exchange(web, *mixed, hang_up=True)).status == 202
    head, body = delivery(web, "msg_other")
    alone = head.replace(b"webhook-id", b"webhook_id")
    assert only(exchange(web, alone, body, hang_up=True)).status == 401
    assert query("SELECT webhook_id FROM app_delivery") == [("msg_real",)]


def test_who_asks_nothing_is_left_without_an_answer(web: Service) -> None:
    with connect(web) as new, connect(web) as kept_open:
        kept_open.sendall(NEXT)
        assert until_closed(new) == b""
        assert only(replies(until_closed(kept_open))).status == 200


def assert_served_beside(web: Service, flood: Flood, deliveries: int) -> None:
    for _ in range(deliveries):
        began = time.monotonic()
        assert web.deliver(EVENT).status == 202
        assert time.monotonic() - began < OFF_SECONDS
    assert not flood.ended


def test_a_caller_in_tiny_chunks_neither_holds_up_others_nor_outlasts_its_deadline(
    web: Service,
) -> None:
    began = time.monotonic()
    with flooding(web, POST + CHUNKED, b"1\r\nx\r\n" * 10_000) as flood:
        assert_served_beside(web, flood, deliveries=1)
        flood.wait()
        took = time.monotonic() - began
    assert only(replies(flood.received)).problem()["status"] == 400
    assert BODY_SECONDS <= took < BODY_SECONDS + LINGER_SECONDS + OFF_SECONDS


def test_a_caller_who_sends_many_requests_at_once_holds_up_nobody(web: Service) -> None:
    with flooding(web, b"", NEXT * 2_000) as flood:
        assert_served_beside(web, flood, deliveries=5)
    assert flood.received.startswith(b"HTTP/1.1 200")


def test_a_refusal_names_no_software_and_costs_a_line_of_the_log(web: Service) -> None:
    before = log_of(web).splitlines()
    reply = only(exchange(web, b"\0\r\n\r\n"))
    headers = {"date", "connection", "cache-control", "content-type", "content-length"}
    assert set(reply.headers) == headers
    assert reply.headers["cache-control"] == "no-store"
    [line] = log_of(web).splitlines()[len(before) :]
    assert line.endswith("Refused with 400: InvalidRequestLine")


def test_no_answer_names_a_version(web: Service) -> None:
    reply = only(exchange(web, ALIVE + b"Connection: close\r\n\r\n"))
    assert reply.headers["server"] == "gunicorn"
