"""What the front door's page does not tell of requests that are not plain.

The page has the cases themselves: what is sent, what is answered, and that nothing behind what is
refused is taken for a request.
"""

from __future__ import annotations

import pytest

from tests.service import Service
from tests.settings.raw import CHUNKED, POST, exchange, log_of, only

pytestmark = pytest.mark.django_db

MARK = b"not-to-be-quoted"
HOST = b"Host: localhost\r\n\r\n"
REFUSED = {
    "version": (400, b"GET /livez " + MARK + b"/1.1\r\n" + HOST),
    "target": (400, b"GET /livez " + MARK + b" HTTP/1.1\r\n" + HOST),
    "TLS": (400, b"\x16\x03\x01\x02\n\x01\xfc\x03\x03" + MARK),
    "second Host": (400, POST + b"Host: " + MARK + b"\r\n\r\n"),
    "header's value": (400, POST + b"A: " + MARK + b"\0\r\n\r\n"),
    "header's name": (400, POST + b"A\0" + MARK + b": b\r\n\r\n"),
    "header without a colon": (400, POST + MARK + b"\r\n\r\n"),
    "folded header": (400, POST + b"A: b\r\n c: " + MARK + b"\r\n\r\n"),
    "coding": (501, POST + b"Transfer-Encoding: " + MARK + b"\r\n\r\n"),
    "expectation": (417, POST + b"Expect: " + MARK + b"\r\n\r\n"),
    "Host of another": (400, POST.replace(b"localhost", MARK) + b"\r\n"),
    "Host that is none": (400, POST.replace(b"localhost", MARK + b" b") + b"\r\n"),
    "end in the head": (400, POST + MARK),
    "chunk's size": (400, POST + CHUNKED + MARK + b"\r\n"),
    "trailer": (400, POST + CHUNKED + b"0\r\n" + MARK + b"\r\n\r\n"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_quoted_neither_in_the_answer_nor_in_the_log(
    web: Service, name: str
) -> None:
    status, sent = REFUSED[name]
    reply = only(exchange(web, sent, hang_up=True))
    assert reply.problem()["status"] == status
    assert MARK not in reply.body
    assert MARK.decode() not in log_of(web)


def test_an_extension_of_a_chunk_has_no_bare_line_end(web: Service) -> None:
    reply = only(exchange(web, POST, CHUNKED, b"3;a\nb\r\nabc\r\n0\r\n\r\n"))
    assert reply.problem()["status"] == 400
    assert reply.closes


def test_a_later_minor_version_is_answered_in_the_one_that_is_known(web: Service) -> None:
    sent = b"GET /livez HTTP/1.2\r\n" + HOST
    reply = only(exchange(web, sent, hang_up=True))
    assert (reply.status, reply.version) == (200, "HTTP/1.1")
