"""What comes when on a connection to the web process, and what ends it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import pytest

from settings.caller import LINGER_BYTES
from tests.service import Service
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


@pytest.mark.parametrize("framed", [LENGTH % 10**12, CHUNKED + b"ffffffffff\r\n"])
def test_a_body_beyond_the_limit_is_not_read_to_its_end(web: Service, framed: bytes) -> None:
    sent, piece = 0, b"x" * 65_536
    began = time.monotonic()
    with connect(web) as caller, suppress(ConnectionError):
        caller.sendall(POST + framed)
        while sent < 64 * LINGER_BYTES:
            sent += caller.send(piece)
    assert sent < 64 * LINGER_BYTES
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


def test_a_caller_in_tiny_chunks_neither_holds_up_others_nor_outlasts_its_deadline(
    web: Service,
) -> None:
    began = time.monotonic()
    with connect(web) as caller:
        flood = POST + CHUNKED + b"1\r\nx\r\n" * (LINGER_BYTES // 8)
        sender = threading.Thread(target=caller.sendall, args=[flood])
        sender.start()
        assert only(exchange(web, ALIVE + b"Connection: close\r\n\r\n")).status == 200
        reply = only(replies(until_closed(caller)))
        sender.join(8)
    assert reply.problem()["status"] == 400
    assert time.monotonic() - began >= BODY_SECONDS


def test_a_refusal_names_no_software_and_costs_a_line_of_the_log(web: Service) -> None:
    before = log_of(web).splitlines()
    reply = only(exchange(web, b"\0\r\n\r\n"))
    assert set(reply.headers) == {"date", "connection", "content-type", "content-length"}
    [line] = log_of(web).splitlines()[len(before) :]
    assert line.endswith("Refused with 400: InvalidRequestLine")


def test_no_answer_names_a_version(web: Service) -> None:
    reply = only(exchange(web, ALIVE + b"Connection: close\r\n\r\n"))
    assert reply.headers["server"] == "gunicorn"
