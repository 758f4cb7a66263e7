"""A caller who sends without a pause."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.service import Service
from tests.settings.raw import connect


class Flood:
    """Sends `head` and then `piece` again and again, and reads what comes, to the server's end."""

    def __init__(self, caller: socket.socket, head: bytes, piece: bytes) -> None:
        self.received = b""
        self.ended = False
        """Whether the server has said its last word."""
        self._caller = caller
        self._sender = threading.Thread(target=self._send, args=[head, piece])
        self._reader = threading.Thread(target=self._read)
        self._sender.start()
        self._reader.start()

    def wait(self) -> None:
        """Wait until nothing more is sent or read."""
        for thread in (self._sender, self._reader):
            thread.join(10)
            assert not thread.is_alive(), "the server neither reads nor ends"

    def _send(self, head: bytes, piece: bytes) -> None:
        with suppress(OSError):  # the server has closed, or the test
            self._caller.sendall(head)
            while True:
                self._caller.sendall(piece)

    def _read(self) -> None:
        with suppress(OSError):
            while data := self._caller.recv(65_536):
                self.received += data
        self.ended = True


@contextmanager
def flooding(web: Service, head: bytes, piece: bytes) -> Iterator[Flood]:
    """A flood that ends with the block, if the server has not ended it before."""
    with connect(web, timeout=30) as caller:
        flood = Flood(caller, head, piece)
        try:
            yield flood
        finally:
            with suppress(OSError):  # the server has closed
                caller.shutdown(socket.SHUT_RDWR)
            flood.wait()
