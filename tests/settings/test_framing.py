"""Requests that two readers could take for different ones: each is refused, or has one meaning.

Another request follows each of them on the same connection. Behind what is refused it is never
executed; behind what is accepted it is, and thus begins where a body ends for everybody.
"""

from __future__ import annotations

import pytest

from tests.service import Service
from tests.settings.raw import ALIVE, POST, exchange, log_of, only

pytestmark = pytest.mark.django_db

NEXT = ALIVE + b"\r\n"
MARK = b"not-to-be-quoted"
LINE = b"POST /webhooks/posts/ HTTP/1.1\r\n"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"
PROTO = b"X-Forwarded-Proto: "
TE = b"Transfer-Encoding: "

HEADS = {
    "length and chunked": (400, POST + TE + b"chunked\r\nContent-Length: 3\r\n\r\n" + CHUNKS),
    "chunked and length": (400, POST + b"Content-Length: 3\r\n" + TE + b"chunked\r\n\r\n" + CHUNKS),
    "chunked twice": (400, POST + TE + b"chunked\r\n" + TE + b"chunked\r\n\r\n" + CHUNKS),
    "chunked, chunked": (400, POST + TE + b"chunked, chunked\r\n\r\n" + CHUNKS),
    "xchunked": (501, POST + TE + b"xchunked\r\n\r\n" + CHUNKS),
    "quoted chunked": (501, POST + TE + b'"chunked"\r\n\r\n' + CHUNKS),
    "chunked with parameter": (501, POST + TE + b"chunked;q=1\r\n\r\n" + CHUNKS),
    "chunked, identity": (400, POST + TE + b"chunked, identity\r\n\r\n" + CHUNKS),
    "identity, chunked": (501, POST + TE + b"identity, chunked\r\n\r\n" + CHUNKS),
    "identity": (400, POST + TE + b"identity\r\n\r\n" + CHUNKS),
    "gzip, chunked": (501, POST + TE + b"gzip, chunked\r\n\r\n" + CHUNKS),
    "gzip then chunked": (501, POST + TE + b"gzip\r\n" + TE + b"chunked\r\n\r\n" + CHUNKS),
    "no coding": (501, POST + TE + b"\r\n\r\n" + CHUNKS),
    "no coding, chunked": (501, POST + TE + b", chunked\r\n\r\n" + CHUNKS),
    "chunked and vertical tab": (400, POST + TE + b"\x0bchunked\r\n\r\n" + CHUNKS),
    "chunked in HTTP/1.0": (400, POST.replace(b"1.1", b"1.0") + TE + b"chunked\r\n\r\n" + CHUNKS),
    "lengths differ": (400, POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
    "lengths are equal": (400, POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "lengths in a list": (400, POST + b"Content-Length: 3, 3\r\n\r\nabc"),
    "length with sign": (400, POST + b"Content-Length: +3\r\n\r\nabc"),
    "negative length": (400, POST + b"Content-Length: -3\r\n\r\nabc"),
    "hexadecimal length": (400, POST + b"Content-Length:  0x3\r\n\r\nabc"),
    "length with underscore": (400, POST + b"Content-Length: 1_0\r\n\r\nabc"),
    "length in superscript": (400, POST + b"Content-Length: \xb3\r\n\r\nabc"),
    "empty length": (400, POST + b"Content-Length:\r\n\r\nabc"),
    "length of 5,000 digits": (400, POST + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\nabc"),
    "bare LF ends the request line": (400, b"GET /livez HTTP/1.1\nHost: localhost\r\n\r\n"),
    "bare LF ends a header": (400, POST + b"A: b\nContent-Length: 3\r\n\r\nabc"),
    "bare LF ends the head": (400, POST + b"A: b\n\n"),
    "bare CR in a header": (400, POST + b"A: b\rContent-Length: 3\r\n\r\nabc"),
    "folded header": (400, POST + b"A: b\r\n c: " + MARK + b"\r\n\r\n"),
    "folded first header": (400, LINE + b" Host: localhost\r\n\r\n"),
    "space before the colon": (400, POST + b"Content-Length : 3\r\n\r\nabc"),
    "tab before the colon": (400, POST + b"Transfer-Encoding\t: chunked\r\n\r\n" + CHUNKS),
    "NUL in a header": (400, POST + b"A: " + MARK + b"\0\r\n\r\n"),
    "NUL in a name": (400, POST + b"A\0" + MARK + b": b\r\n\r\n"),
    "header without a name": (400, POST + b": " + MARK + b"\r\n\r\n"),
    "header without a colon": (400, POST + MARK + b"\r\n\r\n"),
    "name that is not ASCII": (400, POST + b"\xc3\xa4" + MARK + b": b\r\n\r\n"),
    "no Host": (400, LINE + b"\r\n"),
    "two Hosts": (400, POST + b"Host: " + MARK + b"\r\n\r\n"),
    "two Content-Types": (400, POST + b"Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n"),
    "two schemes": (400, POST + PROTO + b"https\r\n" + PROTO + b"http\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /livez\r\n\r\n"),
    "HTTP/2": (505, b"GET /livez HTTP/2.0\r\nHost: localhost\r\n\r\n"),
    "preface of HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "version that is none": (400, b"GET /livez " + MARK + b"/1.1\r\nHost: localhost\r\n\r\n"),
    "two spaces": (400, b"GET  /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "space in the target": (400, b"GET /livez " + MARK + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "NUL in the target": (400, b"GET /livez\0 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "target that is not ASCII": (400, b"GET /\xc3\xa4 HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "target without a slash": (400, b"GET livez HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "method in small letters": (400, b"get /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "no method": (400, b" /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\n\x01\xfc\x03\x03" + MARK),
    "target too long": (414, b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "target without end": (414, b"GET /" + b"a" * 9_000),
    "header too long": (431, POST + b"A: " + b"a" * 8_200 + b"\r\n\r\n"),
    "too many headers": (431, POST + b"A: b\r\n" * 100 + b"\r\n"),
    "headers too long together": (431, POST + (b"A: " + b"a" * 4_000 + b"\r\n") * 11 + b"\r\n"),
    "expectation": (417, POST + b"Expect: " + MARK + b"\r\n\r\n"),
    "end in the head": (400, POST + MARK),
}
BODIES = {
    "size with sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "size with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "size with underscore": b"0_3\r\nabc\r\n0\r\n\r\n",
    "size after a space": b" 3\r\nabc\r\n0\r\n\r\n",
    "size before a space": b"3 \r\nabc\r\n0\r\n\r\n",
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "size ends in a bare LF": b"3\nabc\r\n0\r\n\r\n",
    "data ends in a bare LF": b"3\r\nabc\n0\r\n\r\n",
    "more data than said": b"3\r\nabcd\r\n0\r\n\r\n",
    "less data than said": b"4\r\nabc\r\n0\r\n\r\n",
    "extension without a name": b"3;\r\nabc\r\n0\r\n\r\n",
    "extension with bare CR": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "extension with bare LF": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "size line without end": b"3;" + b"a" * 20_000,
    "garbage after the last chunk": b"3\r\nabc\r\n0\r\nabc\r\n\r\n",
    "length in the trailers": b"3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n",
    "folded trailer": b"3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n",
    "trailers too long": b"3\r\nabc\r\n0\r\n" + (b"A: " + b"a" * 4_000 + b"\r\n") * 11 + b"\r\n",
}
ONE_MEANING = {
    "length": (401, POST + b"Content-Length: 3\r\n\r\nabc"),
    "length with zeros": (401, POST + b"Content-Length: 0003\r\n\r\nabc"),
    "no body": (401, POST + b"\r\n"),
    "chunks": (401, POST + TE + b"Chunked\r\n\r\n" + CHUNKS),
    "chunk extensions": (
        401,
        POST + TE + b'chunked\r\n\r\n3;a=b;c="d;\\" e"\r\nabc\r\n0;f\r\n\r\n',
    ),
    "sizes with zeros": (401, POST + TE + b"chunked\r\n\r\n0003\r\nabc\r\n000\r\n\r\n"),
    "trailers": (401, POST + TE + b"chunked\r\n\r\n3\r\nabc\r\n0\r\nwebhook-id: a\r\n\r\n"),
    "names with underscores": (401, POST + b"Content_Length: 9\r\nTransfer_Encoding: x\r\n\r\n"),
    "path by a header": (401, POST + b"SCRIPT_NAME: /a\r\nPATH_INFO: /livez\r\n\r\n"),
    "Host of another": (400, LINE + b"Host: not.localhost\r\n\r\n"),
    "schemes by other headers": (200, ALIVE + PROTO + b"https\r\nX-Forwarded-Ssl: off\r\n\r\n"),
    "absolute target": (200, b"GET http://localhost/livez HTTP/1.1\r\nHost: a\r\n\r\n"),
    "absolute target of another": (400, b"GET http://a/livez HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "empty line before": (200, b"\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "HTTP/1.2": (200, b"GET /livez HTTP/1.2\r\nHost: localhost\r\n\r\n"),
    "asterisk": (404, b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "unknown method": (405, b"BREW /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_is_not_plain_is_refused_and_nothing_behind_it_is_executed(
    web: Service, name: str
) -> None:
    status, sent = HEADS[name]
    reply = only(exchange(web, sent, NEXT if sent.endswith(b"\n") else b"", hang_up=True))
    assert reply.problem()["status"] == status
    assert reply.closes
    assert MARK not in reply.body
    assert MARK.decode() not in log_of(web)


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_not_plain_is_refused_and_nothing_behind_it_is_executed(
    web: Service, name: str
) -> None:
    reply = only(exchange(web, POST, TE, b"chunked\r\n\r\n", BODIES[name] + NEXT))
    assert reply.problem()["status"] == 400
    assert reply.closes


@pytest.mark.parametrize("name", ONE_MEANING)
def test_what_is_plain_leaves_the_connection_to_the_next_request(web: Service, name: str) -> None:
    status, sent = ONE_MEANING[name]
    first, second = exchange(web, sent + NEXT, hang_up=True)
    assert first.status == status
    assert first.version == "HTTP/1.1"
    assert not first.closes
    assert second.status == 200
