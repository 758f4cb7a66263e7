"""The generator of load, against a server that can misbehave."""

from __future__ import annotations

import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.frame.arm import Void
from benchmarks.frame.load import Answers, http_request, load
from benchmarks.frame.loadgen import Connection
from benchmarks.frame.processor import Meter

Answer = Callable[[bytes], list[bytes]]
"""From the id of a request to the parts of its answer; none: the connection is closed."""
STALL_SECONDS = 0.5
ENOUGH = 200_000
"""More than any machine asks of that server in the time of a test."""
OK = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok"


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 50

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.seen: list[bytes] = []
        self.connections = 0


class Handler(socketserver.StreamRequestHandler):
    server: Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.server.connections += 1
        while self.rfile.readline():
            headers = dict(
                line.decode().strip().lower().split(": ", 1)
                for line in iter(self.rfile.readline, b"\r\n")
            )
            request = self.rfile.read(int(headers["content-length"]))
            self.server.seen.append(request)
            if not (parts := self.server.answer(request)):
                return
            for part in parts:
                self.wfile.write(part)
            if b"close" in parts[0]:
                return


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    with Server(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


@cache
def requests(number: int) -> list[bytes]:
    return [http_request("/x/", {"x-id": str(n)}, f"{n:08}".encode()) for n in range(number)]


def sent(server: Server, folder: Path, *, number: int = ENOUGH, **how: float) -> Answers:
    given = {"seconds": 0.3, "connections": 4, **how}
    with load(requests(number), server.server_address[1], folder, **given) as ready:  # type: ignore[arg-type]
        return ready.send()


def test_all_connections_work_until_the_time_is_up(tmp_path: Path) -> None:
    with serving(lambda _: [OK]) as server:
        answers = sent(server, tmp_path)
        assert server.connections == 4
        assert answers.all_are(202) == len(server.seen) == len(answers.done)
    assert sorted(server.seen) == [f"{n:08}".encode() for n in range(len(server.seen))]
    assert all(latency > 0 for latency in answers.latencies)
    assert answers.seconds >= max(answers.due) - min(answers.due) >= 0.1


def test_an_answer_is_whole_when_its_last_byte_is_here() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(listener.getsockname()[1])
        server, _ = listener.accept()
        with server, connection.socket:
            told = []
            for part in (OK[:10], OK[10:-1], OK[-1:], OK):
                server.sendall(part)
                told.append(connection.status())
    assert told == [0, 0, 202, 202]


def test_at_a_rate_requests_fall_due_whatever_becomes_of_the_answers(tmp_path: Path) -> None:
    """One answer takes half a second, and all that fell due meanwhile waited for it."""
    stall = threading.Event()

    def answer(request: bytes) -> list[bytes]:
        if request == b"00000010":
            stall.wait(STALL_SECONDS)
        return [OK]

    with serving(answer) as server:
        answers = sent(server, tmp_path, seconds=0.995, connections=1, rate=100.0, constant=True)
    assert answers.all_are(202) == 99
    gaps = [later - due for due, later in pairwise(answers.due)]
    assert gaps == pytest.approx([0.01] * 98)
    stalled = sorted(answers.latencies, reverse=True)
    assert stalled[0] >= STALL_SECONDS
    assert stalled[10] >= STALL_SECONDS - 0.11  # the next ten were due in the next tenth


def test_at_a_rate_arrivals_are_at_random_and_the_same_each_time(tmp_path: Path) -> None:
    with serving(lambda _: [OK]) as server:
        runs = [sent(server, tmp_path, rate=500.0).due for _ in range(2)]
    gaps = [[later - due for due, later in pairwise(own)] for own in runs]
    assert gaps[0] == pytest.approx(gaps[1])
    assert min(gaps[0]) < 0.001 < 0.004 < max(gaps[0])


def test_a_connection_that_the_server_closes_is_made_anew(tmp_path: Path) -> None:
    closing = OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    with serving(lambda request: [closing if request.endswith(b"5") else OK]) as server:
        answers = sent(server, tmp_path)
    assert answers.all_are(202) == len(server.seen)
    assert server.connections > 4


def test_a_request_that_is_not_accepted_voids_the_turn(tmp_path: Path) -> None:
    refused = OK.replace(b"202 Accepted", b"503 Later")
    with serving(lambda request: [refused if request == b"00000007" else OK]) as server:
        answers = sent(server, tmp_path)
    assert answers.statuses[7] == 503
    with pytest.raises(Void, match=r"answers of \[503\] where 202 was due"):
        answers.all_are(202)


def test_a_request_without_an_answer_voids_the_turn(tmp_path: Path) -> None:
    with (
        serving(lambda request: [] if request == b"00000007" else [OK]) as server,
        pytest.raises(Void, match="a request under way"),
    ):
        sent(server, tmp_path)


def test_no_request_is_sent_twice(tmp_path: Path) -> None:
    with (
        serving(lambda _: [OK]) as server,
        pytest.raises(Void, match="all 5 requests are used up"),
    ):
        sent(server, tmp_path, number=5)


def test_nobody_to_send_to_is_void(tmp_path: Path) -> None:
    with serving(lambda _: [OK]) as server:
        port = server.server_address[1]
    with pytest.raises(Void, match="not ready"), load([], port, tmp_path, seconds=1, connections=1):
        pass


def test_what_the_load_has_used_can_be_read_after_it(tmp_path: Path) -> None:
    with (
        serving(lambda _: [OK]) as server,
        load(
            requests(ENOUGH), server.server_address[1], tmp_path, seconds=0.3, connections=4
        ) as ready,
        Meter({"load": [ready.pid], "rest": [os.getpid()]}).turn() as turn,
    ):
        answers = ready.send()
    assert set(turn.slice(len(answers.done)).microseconds) == {"load", "rest"}
