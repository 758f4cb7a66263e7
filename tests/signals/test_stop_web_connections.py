"""A signal to the web process, and callers who have sent a part of a request, or nothing."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.factories import event
from tests.service import Service
from tests.signals.gate import query
from tests.signals.one_process import one_process, wait_until_idle
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]

PROBE = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@contextmanager
def served_before(service: Service) -> Iterator[socket.socket]:
    """A connection that the web process has taken, answered a request on, and keeps open."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=15) as caller:
        caller.sendall(PROBE)
        answer = b""
        while not answer.endswith(b"}") and b"\r\n\r\nok" not in answer:
            answer += caller.recv(65_536)
        yield caller


def request(service: Service, source_id: str) -> tuple[bytes, bytes]:
    """A delivery: its head and its body."""
    body = json.dumps(event(source_id=source_id)).encode()
    headers = {**service.signed(body, f"msg_{source_id}"), "content-length": str(len(body))}
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return (
        f"POST /webhooks/posts/ HTTP/1.1\r\nHost: 127.0.0.1\r\n{''.join(lines)}\r\n".encode(),
        body,
    )


def to_its_end(caller: socket.socket) -> bytes:
    """What comes until the server hangs up."""
    read = b""
    with suppress(ConnectionResetError):
        while data := caller.recv(65_536):
            read += data
    return read


def test_what_has_begun_is_answered_after_those_who_ask_nothing_were_turned_away(
    transactional_db: None, tmp_path: Path
) -> None:
    with one_process("web", tmp_path, "--keep-alive", "30") as service, ExitStack() as open_:
        web = service.processes["web"]
        wait_until_idle(service, "web")
        # The last of them to be looked at is the one that is turned away.
        in_its_head, in_its_body, asks_nothing = [
            open_.enter_context(served_before(service)) for _ in range(3)
        ]
        (head, body), (other_head, other_body) = request(service, "a"), request(service, "b")
        in_its_head.sendall(head[:40])
        in_its_body.sendall(other_head + other_body[:10])

        web.send(signal.SIGTERM)
        assert to_its_end(asks_nothing) == b""
        assert web.poll() is None
        in_its_head.sendall(head[40:] + body)
        in_its_body.sendall(other_body[10:])

        for caller in (in_its_head, in_its_body):
            answer = to_its_end(caller)
            assert answer.startswith(b"HTTP/1.1 202 "), answer
        assert web.wait(20) == 0
    assert query("SELECT count(*) FROM app_delivery") == [(2,)]


def test_a_request_that_does_not_end_is_cut_off_when_the_patience_is_over(
    transactional_db: None, tmp_path: Path
) -> None:
    patience = ("--graceful-timeout", "1")
    with one_process("web", tmp_path, *patience, WEB_BODY_SECONDS="60") as service:
        web = service.processes["web"]
        wait_until_idle(service, "web")
        with served_before(service) as caller:
            head, body = request(service, "a")
            caller.sendall(head + body[:10])
            web.send(signal.SIGHUP)  # other workers, and a stop for those that there are
            assert to_its_end(caller) == b""
        eventually(lambda: "Worker graceful timeout" in web.output())
        assert service.ask("GET", "/livez").status == 200
    assert query("SELECT count(*) FROM app_delivery") == [(0,)]
