"""Sends requests that were built beforehand: `python -m benchmarks.frame.loadgen`.

A process of its own that is started by `benchmarks.frame.load`. Closed loop: each connection sends
its next request when it has its answer. Open loop (`--rate`): requests are due at times that do not
wait for any answer, and each counts from when it was due, also while all connections are taken.
It says ``ready`` when it is connected, begins at a line on its input, says ``done``, and stays
until its input ends, so that what it has used can be read.
"""

from __future__ import annotations

import argparse
import random
import select
import socket
import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator
from pathlib import Path

PATIENCE_SECONDS = 20.0
"""For an answer."""
LENGTH_BYTES = 4


class Broken(Exception):
    """A connection was closed by the server, or answered what is not understood."""


class Connection:
    """One that is kept alive, and carries a request at a time."""

    __slots__ = ("_buffer", "closes", "number", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = -1
        """Of the request under way; -1 where none is."""
        self.closes = False
        """Whether the server takes nothing more on it."""
        self._buffer = b""

    def status(self) -> int:
        """That of the answer, once all of it is here; until then 0. Raises Broken."""
        received = self.socket.recv(65536)
        if not received:
            if self.number >= 0:
                raise Broken("the server closed a connection that has a request under way")
            self.closes = True
            return 0
        self._buffer += received
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return 0
        headers = self._buffer[:head].lower()
        place = headers.find(b"\r\ncontent-length:")
        if place < 0:
            raise Broken(f"an answer without a length: {self._buffer[:200]!r}")
        length = int(headers[place + 17 :].split(b"\r", 1)[0])
        if len(self._buffer) < head + 4 + length:
            return 0
        status = int(self._buffer[9:12])
        self.closes = b"\r\nconnection: close" in headers
        self._buffer = b""
        return status


class Generator:
    """Sends, and writes down when each request was due and done, and how it was answered."""

    def __init__(self, requests: list[bytes], port: int, connections: int) -> None:
        self.requests = requests
        self.due = array("d")
        self.done = array("d", bytes(8 * len(requests)))
        self.statuses = array("H", bytes(2 * len(requests)))
        self._port = port
        self._poll = select.epoll()
        self._of: dict[int, Connection] = {}
        self._free = deque(self._connected() for _ in range(connections))

    def closed(self, seconds: float) -> None:
        """Keep every connection busy for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            while self._free:
                self._send(time.monotonic())
            self._receive(PATIENCE_SECONDS)

    def open(self, seconds: float, rate: float, *, poisson: bool) -> None:
        """Send so many a second for so long, whatever becomes of them."""
        for due in self._times(seconds, rate, poisson=poisson):
            while (wait := due - time.monotonic()) > 0:
                self._receive(wait)
            while not self._free:
                self._receive(PATIENCE_SECONDS)
            self._send(due)

    def finish(self) -> None:
        """Wait for the answers that are missing."""
        while len(self._free) < len(self._of):
            self._receive(PATIENCE_SECONDS)

    def _connected(self) -> Connection:
        connection = Connection(self._port)
        descriptor = connection.socket.fileno()
        self._of[descriptor] = connection
        self._poll.register(descriptor, select.EPOLLIN)
        return connection

    def _times(self, seconds: float, rate: float, *, poisson: bool) -> Iterator[float]:
        chance = random.Random(6)  # noqa: S311 - the same arrivals for whoever is measured
        began = at = time.monotonic()
        while (at := at + (chance.expovariate(rate) if poisson else 1 / rate)) < began + seconds:
            yield at

    def _send(self, due: float) -> None:
        number = len(self.due)
        if number == len(self.requests):
            raise Broken(f"all {number} requests are used up")
        self.due.append(due)
        connection = self._free.popleft()
        connection.number = number
        connection.socket.sendall(self.requests[number])

    def _receive(self, patience: float) -> None:
        """Take the answers that have come, or wait at most so many seconds for some."""
        # A timeout of epoll's own is a whole number of milliseconds: select waits in its place.
        waits = patience >= PATIENCE_SECONDS or select.select([self._poll], (), (), patience)[0]
        ready = self._poll.poll(patience) if waits else []
        if not ready and patience >= PATIENCE_SECONDS:
            raise Broken(f"no answer for {patience:g} s")
        for descriptor, _ in ready:
            connection = self._of[descriptor]
            if status := connection.status():
                self.done[connection.number] = time.monotonic()
                self.statuses[connection.number] = status
                connection.number = -1
                self._free.append(connection)
            if connection.closes:
                self._renew(connection)

    def _renew(self, connection: Connection) -> None:
        del self._of[connection.socket.fileno()]
        connection.socket.close()
        self._free.remove(connection)
        self._free.append(self._connected())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frame.loadgen", description=__doc__)
    parser.add_argument("requests", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--constant", action="store_true")
    options = parser.parse_args()
    try:
        generator = Generator(read(options.requests), options.port, options.connections)
        _tell("ready")
        sys.stdin.readline()
        if options.rate:
            generator.open(options.seconds, options.rate, poisson=not options.constant)
        else:
            generator.closed(options.seconds)
        generator.finish()
    except (Broken, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sent = len(generator.due)
    with options.answers.open("wb") as file:
        for column in (generator.due, generator.done[:sent], generator.statuses[:sent]):
            column.tofile(file)
    _tell("done")
    sys.stdin.readline()
    return 0


def _tell(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def read(path: Path) -> list[bytes]:
    """Requests from a file, each after its length."""
    data, place, requests = path.read_bytes(), 0, []
    while place < len(data):
        begin = place + LENGTH_BYTES
        place = begin + int.from_bytes(data[place:begin])
        requests.append(data[begin:place])
    return requests


if __name__ == "__main__":
    sys.exit(main())
