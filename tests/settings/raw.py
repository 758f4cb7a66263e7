"""Bytes sent to the web process, and its answers byte by byte."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

from tests.service import Service

BODY_SECONDS = 1
HEAD_SECONDS = 2
POST = b"POST /webhooks/posts/ HTTP/1.1\r\nHost: localhost\r\n"
PROBE = b"POST /livez HTTP/1.1\r\nHost: localhost\r\n"
ALIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
LOGIN = b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer on a connection."""

    version: str
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        return self.headers["connection"] == "close"

    def problem(self) -> dict[str, Any]:
        """The document of a problem, which says what the status says."""
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        assert document["title"]
        assert document["detail"]
        return document


def connect(web: Service, timeout: float = 8) -> socket.socket:
    return socket.create_connection(("127.0.0.1", web.port), timeout=timeout)


def until_closed(caller: socket.socket) -> bytes:
    """What comes until the server closes; a reset, which loses answers, is an error."""
    return b"".join(iter(lambda: caller.recv(65_536), b""))


def exchange(web: Service, *parts: bytes, hang_up: bool = False) -> list[Reply]:
    """Send the parts, and read until the server closes: its answers."""
    with connect(web) as caller:
        for part in parts:
            caller.sendall(part)
        if hang_up:
            caller.shutdown(socket.SHUT_WR)
        return replies(until_closed(caller))


def only(found: list[Reply]) -> Reply:
    [reply] = found
    return reply


def replies(raw: bytes, *, head_only: bool = False) -> list[Reply]:
    """The answers in what was received, which is nothing besides.

    With `head_only` the first of them is to a HEAD.
    """
    found: list[Reply] = []
    while raw:
        head, end, raw = raw.partition(b"\r\n\r\n")
        assert end, head
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), lines
        if status == "100" or (head_only and not found):
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            body, raw = _chunked(raw)
        else:
            length = int(headers["content-length"])
            body, raw = raw[:length], raw[length:]
        found.append(Reply(version, int(status), headers, body))
    return found


def _chunked(raw: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, raw = raw.partition(b"\r\n")
        length = int(size, 16)
        body, raw = body + raw[:length], raw[length + 2 :]
        if length == 0:
            return body, raw


def delivery(web: Service, webhook_id: str, *more: bytes) -> tuple[bytes, bytes]:
    """A good delivery: its head, with further header lines, and its body."""
    event = {"type": "post.deleted", "timestamp": "2026-03-01T12:00:00Z", "data": {"id": "1"}}
    body = json.dumps(event).encode()
    given = {**web.signed(body, webhook_id), "content-length": str(len(body))}
    lines = [f"{name}: {value}\r\n".encode() for name, value in given.items()]
    return b"".join((POST, *lines, *more, b"\r\n")), body


def log_of(web: Service) -> str:
    log = web.processes["web"].log
    assert log is not None
    return log.read_text()
