"""`manage.py webhook send`: what it sends, and what it makes of the answer."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.app.answering import ACCEPTED, Answer, answering, read_request, reply
from tests.factories import SECRET
from tests.service import running

BODY = '{"title": "Grüße"}\r\n\n'.encode()
EVENT = (
    b'{"type": "post.created", "timestamp": "2026-03-01T12:00:00Z",'
    b' "data": {"id": "post-1", "title": "A title", "body": "", "categories": [], "tags": []}}'
)


def test_the_bytes_of_the_file_arrive_signed(send_file: Any) -> None:
    with answering(ACCEPTED) as server:
        url = f"{server.url}/webhooks/posts/?a=b%20c"
        code, printed = send_file(url, "--id", "msg_1", body=BODY)
    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
    assert line == "POST /webhooks/posts/?a=b%20c HTTP/1.1"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == "msg_1"
    assert body == BODY
    Webhook(SECRET).verify(body, headers)
    assert (code, printed.splitlines()[0]) == (0, f"sending msg_1 to {url}")


def test_an_address_without_a_path_is_its_root(send_file: Any) -> None:
    with answering(ACCEPTED) as server:
        assert send_file(server.url)[0] == 0
    assert server.requests[0].startswith(b"POST / HTTP/1.1\r\n")


def test_the_answer_is_printed_to_be_read(send_file: Any) -> None:
    answer = reply(
        b"202 Accepted",
        '{"state":"ready","who":["Grüße"]}'.encode(),
        b"content-type: application/json",
        b"Location: /messages/1/",
        b"x-other: no",
    )
    with answering(answer) as server:
        code, printed = send_file(server.url)
    _, status, *rest = printed.splitlines()
    assert code == 0
    assert status.startswith("202 Accepted in 0.")
    assert rest == [
        "content-type: application/json",
        "location: /messages/1/",
        "{",
        '  "state": "ready",',
        '  "who": [',
        '    "Grüße"',
        "  ]",
        "}",
    ]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (reply(b"400 Bad Request", b'{"title": "Bad"}'), '"title": "Bad"'),
        (reply(b"401 Unauthorized", b"no"), "no\n"),
        (reply(b"503 Service Unavailable", b"", b"retry-after: 7"), "retry-after: 7"),
        (reply(b"500 ", b"\xff[" * 70_000), "500 "),
        (reply(b"199 Odd"), "199 Odd"),
    ],
    ids=["400", "401", "503", "500", "199"],
)
def test_any_other_answer_is_shown_and_ends_with_1(
    send_file: Any, answer: bytes, shown: str
) -> None:
    with answering(answer) as server:
        code, printed = send_file(server.url)
    assert code == 1
    assert shown in printed
    assert f"It was not accepted: the answer is {answer[9:12].decode()}." in printed


def test_a_redirect_is_shown_and_not_followed(send_file: Any) -> None:
    with answering(ACCEPTED) as other:
        moved = reply(b"307 Temporary Redirect", b"", b"location: " + other.url.encode())
        with answering(moved) as server:
            code, printed = send_file(server.url)
    assert code == 1
    assert f"location: {other.url}" in printed
    assert other.requests == []


def test_what_a_terminal_would_obey_is_not_passed_on(send_file: Any) -> None:
    answer = reply(b"202 \x1b[2J", b"\x1b]0;title\x07 \xc2\x9b31m ok\r\n", b"location: \x1b[1m")
    with answering(answer) as server:
        code, printed = send_file(server.url)
    assert code == 0
    assert " ok" in printed
    assert {each for each in printed if not each.isprintable()} == {"\n"}


def test_a_proxy_of_the_environment_is_not_asked(
    send_file: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with answering(ACCEPTED) as server:
        assert send_file(server.url)[0] == 0


def drip(connection: socket.socket) -> None:
    """An answer that never stands still and never ends."""
    read_request(connection)
    for each in b"HTTP/1.1 202 Accepted\r\nx: " + b"y" * 1000:
        connection.sendall(bytes([each]))
        time.sleep(0.05)


def silent(connection: socket.socket) -> None:
    read_request(connection)
    connection.recv(1)


@pytest.mark.parametrize("answer", [drip, silent])
def test_an_answer_that_is_not_whole_in_time_is_none(send_file: Any, answer: Answer) -> None:
    with answering(answer) as server:
        started = time.monotonic()
        code, printed = send_file(server.url, "--deadline", "0.5")
    assert code == 1
    assert "No answer" in printed
    assert "within 0.5 s" in printed or "timed out" in printed
    assert time.monotonic() - started < 5


def refuse_unread(connection: socket.socket) -> None:
    """An answer to the head alone; the connection is then closed on what is still being sent."""
    came = b""
    while b"\r\n\r\n" not in came:
        came += connection.recv(1)
    connection.sendall(reply(b"413 Content Too Large", b"too much"))


def test_the_answer_to_a_body_that_is_refused_unread_is_shown(send_file: Any) -> None:
    with answering(refuse_unread) as server:
        code, printed = send_file(server.url, body=b"x" * 20_000_000)
    assert (code, "too much" in printed) == (1, True)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_service_takes_what_is_sent(send_file: Any, tmp_path: Path, settings: Any) -> None:
    folder = tmp_path / "service"
    folder.mkdir()
    with running(folder, only=("web",)) as service:
        settings.WEBHOOK_SECRETS = [service.secret]
        url = f"http://127.0.0.1:{service.port}/webhooks/posts/"
        code, printed = send_file(url, "--id", "msg_1", body=EVENT)
        assert (code, '"message_id": "' in printed) == (0, True)
        code, again = send_file(url, "--id", "msg_1", body=EVENT)
        assert (code, again.partition("location: ")[2]) == (0, printed.partition("location: ")[2])
        other = EVENT.replace(b"A title", b"Another")
        for status, words, body in (
            (401, ("--timestamp", "1"), EVENT),
            (409, ("--id", "msg_1"), other),
            (413, (), b"x" * 2_000_000),
            (422, (), b"{}"),
        ):
            code, printed = send_file(url, *words, body=body)
            assert (code, f"the answer is {status}." in printed) == (1, True), printed
