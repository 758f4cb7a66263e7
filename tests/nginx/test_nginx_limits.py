"""What one caller may take: requests, connections, time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.nginx.front import INSIDE, Front, Installation, assert_problem, running_nginx
from tests.service import free_port
from tests.waiting import eventually

ONE_AND_NO_MORE = {
    "rate=200r/s": "rate=1r/m",
    "rate=20r/s": "rate=1r/m",
    "zone=pillarbox_deliveries burst=1000": "zone=pillarbox_deliveries burst=1",
    "zone=pillarbox_reads burst=100": "zone=pillarbox_reads burst=1",
}
UNFINISHED = b"POST /webhooks/posts/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"


@pytest.fixture(scope="module")
def strict(nginx: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("strict")
    with running_nginx(nginx, folder, free_port(), **ONE_AND_NO_MORE) as front:
        yield front


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("/webhooks/posts/", "127.0.0.3"),
        ("/posts/", "127.0.0.4"),
        ("/messages/1/", "127.0.0.5"),
        ("/openapi.json", "127.0.0.6"),
    ],
)
def test_a_flood_is_told_to_slow_down(strict: Front, path: str, source: str) -> None:
    answers = [strict.ask("POST", path, b"{}", source=source) for _ in range(3)]
    assert [answer.status for answer in answers] == [502, 502, 429]
    assert_problem(answers[2], 429)
    assert answers[2].headers["retry-after"] == "1"


def test_a_flood_of_reads_keeps_no_delivery_out(strict: Front) -> None:
    source = "127.0.0.7"
    answers = [strict.ask("GET", "/posts/", source=source) for _ in range(3)]
    assert answers[2].status == 429
    assert strict.ask("POST", "/webhooks/posts/", source=source).status == 502


def test_an_address_has_so_many_requests_under_way(nginx: Installation, tmp_path: Path) -> None:
    one = {"limit_conn pillarbox_callers 100;": "limit_conn pillarbox_callers 1;"}
    with (
        running_nginx(nginx, tmp_path, free_port(), **one) as front,
        front.connect(source=INSIDE) as held,
    ):
        held.sendall(UNFINISHED)
        # Where no rate is limited, so that the 429 is for the request that is held.
        eventually(lambda: front.ask("GET", "/livez", source=INSIDE).status == 429, 15)
        assert_problem(front.ask("GET", "/livez", source=INSIDE), 429)
        assert_problem(front.exchange(b"GARBAGE\r\n\r\n", source=INSIDE), 400)
        assert front.ask("GET", "/posts/").status == 502


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_a_head_has_a_deadline(nginx: Installation, tmp_path: Path, tls: bool) -> None:
    soon = {"client_header_timeout 10s;": "client_header_timeout 2s;"}
    with (
        running_nginx(nginx, tmp_path, free_port(), **soon) as front,
        front.connect(tls=tls) as slow,
    ):
        slow.sendall(b"GET /posts/ HTTP/1.1\r\n")
        assert_let_go(slow)


def test_a_body_that_pauses_has_a_deadline(nginx: Installation, tmp_path: Path) -> None:
    soon = {"client_body_timeout 10s;": "client_body_timeout 1s;"}
    with running_nginx(nginx, tmp_path, free_port(), **soon) as front, front.connect() as slow:
        slow.sendall(UNFINISHED)
        assert_let_go(slow)


def assert_let_go(connection: socket.socket) -> None:
    """Nothing is answered, and the connection ends before nginx' own default, a minute."""
    connection.settimeout(20)
    with suppress(ConnectionResetError):
        assert connection.recv(1) == b""
