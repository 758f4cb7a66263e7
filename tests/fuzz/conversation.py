"""A connection to the service, and what came back on it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from tests.fuzz.letter import Letter

TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Conversation:
    """Sends one request after the other; the connection is kept for as long as both sides do."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._rest = b""

    def send(self, letter: Letter) -> list[Answer]:
        """Send it, and return the answers: one, unless it is not to be told where it ends.

        Raises `OSError` when a request that is one gets no answer.
        """
        kept = self._socket is not None
        try:
            return self._exchange(letter)
        except ConnectionError:
            self.close()
            if not kept:
                raise
        # The server had closed the connection by the time we used it again.
        return self._exchange(letter)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""

    def _exchange(self, letter: Letter) -> list[Answer]:
        if self._socket is None:
            address = ("127.0.0.1", self._port)
            self._socket = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
        with suppress(BrokenPipeError, ConnectionResetError):  # it may have said no by now
            self._socket.sendall(letter.wire)
        if letter.framed:
            answer = self._read()
            if answer.headers.get("connection") == "close":
                self.close()
            return [answer]
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        try:
            return list(self._until_the_end())
        finally:
            self.close()

    def _until_the_end(self) -> Iterator[Answer]:
        with suppress(ConnectionError):
            while True:
                yield self._read()

    def _read(self) -> Answer:
        head = self._take_until(b"\r\n\r\n").decode("latin-1")
        status, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in pairs}
        length = int(headers["content-length"])
        while len(self._rest) < length:
            self._receive()
        body, self._rest = self._rest[:length], self._rest[length:]
        return Answer(int(status.split(" ", 2)[1]), headers, body)

    def _take_until(self, end: bytes) -> bytes:
        while end not in self._rest:
            self._receive()
        found, _, self._rest = self._rest.partition(end)
        return found + end

    def _receive(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionResetError("the connection ended before an answer did")
        self._rest += data
