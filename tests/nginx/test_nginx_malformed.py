"""What is no request that nginx can read is refused as everything else is."""

from __future__ import annotations

import socket

import pytest

from tests.nginx.front import INSIDE, NAME, Front, assert_problem, read_answer

CASES = {
    b"GARBAGE": 400,
    b"GET /%zz HTTP/1.1": 400,
    b"GET /../.. HTTP/1.1": 400,
    b"get /posts/ HTTP/1.1": 400,
    b"OPTIONS * HTTP/1.1": 400,
    b"PRI * HTTP/2.0": 400,
    b"POST /webhooks/posts/ HTTP/1.1\r\nContent-Length: -1": 400,
    b"TRACE /posts/ HTTP/1.1": 405,
    b"GET /" + 9000 * b"a" + b" HTTP/1.1": 414,
    b"GET / HTTP/1.1\r\nX-Long: " + 9000 * b"a": 431,
    b"POST /webhooks/posts/ HTTP/1.1\r\nTransfer-Encoding: gzip": 501,
    b"GET /posts/ HTTP/9.9": 505,
}


def malformed(request: bytes) -> bytes:
    return b"%s\r\nHost: %s\r\n\r\n" % (request, NAME.encode())


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
@pytest.mark.parametrize(("request_line", "status"), CASES.items(), ids=lambda each: str(each)[:40])
def test_what_cannot_be_read_is_refused_as_a_problem(
    alone: Front, request_line: bytes, status: int, tls: bool
) -> None:
    assert_problem(alone.exchange(malformed(request_line), tls=tls), status)


def test_http_on_the_port_of_https_is_refused_as_a_problem(alone: Front) -> None:
    address = ("127.0.0.1", alone.tls_port)
    with socket.create_connection(address, 20, source_address=(INSIDE, 0)) as plain:
        plain.sendall(malformed(b"GET /posts/ HTTP/1.1"))
        assert_problem(read_answer(plain), 400)


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_the_page_of_errors_has_no_address(alone: Front, tls: bool) -> None:
    assert_problem(alone.ask("GET", "/.problem", tls=tls), 404)
