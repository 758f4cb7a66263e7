"""Small servers that answer as they are told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

ACCEPTED = b'HTTP/1.1 202 Accepted\r\ncontent-length: 18\r\n\r\n{"state": "ready"}'

Answer = Callable[[socket.socket], None]


def reply(status: bytes, body: bytes = b"", *headers: bytes) -> bytes:
    length = b"content-length: %d" % len(body)
    return b"\r\n".join([b"HTTP/1.1 " + status, length, *headers, b"", body])


def read_request(connection: socket.socket) -> bytes:
    """A whole request, head and body."""
    came = b""
    while b"\r\n\r\n" not in came:
        came += connection.recv(65_536)
    head, _, body = came.partition(b"\r\n\r\n")
    [length] = [
        int(each[15:]) for each in head.lower().split(b"\r\n") if each[:15] == b"content-length:"
    ]
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body


class Server:
    """Answers each connection as it is told, and keeps what came."""

    def __init__(self, answer: Answer | bytes) -> None:
        self.requests: list[bytes] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(20)
                with connection, suppress(OSError):
                    self._one(connection)

    def _one(self, connection: socket.socket) -> None:
        if callable(self._answer):
            self._answer(connection)
        else:
            self.requests.append(read_request(connection))
            connection.sendall(self._answer)


@contextmanager
def answering(answer: Answer | bytes) -> Iterator[Server]:
    server = Server(answer)
    try:
        yield server
    finally:
        server.close()
