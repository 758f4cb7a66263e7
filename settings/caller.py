"""A connection to a caller of the web process, which may be slow, silent or hostile."""

from __future__ import annotations

from contextlib import suppress
from select import POLLIN, poll  # the real one, which yields to no other greenlet
from typing import Any, Final

import gevent
from gevent import socket

ANSWER_SECONDS: Final = 10.0
ANSWER_BYTES: Final = 65_536
"""How long the caller may take to make room for so much of its answer."""
LINGER_SECONDS: Final = 1.0
LINGER_BYTES: Final = 4_194_304
"""How long, and how much at most, a caller is listened to whose last answer has been sent."""
READ_BYTES: Final = 8_192


class Caller(socket.socket):  # type: ignore[misc]  # untyped
    """A connection that waits for its caller for a bounded time, whatever it waits for."""

    idle = False
    """Whether it waits for something that nobody owes an answer to."""
    ended = False
    """Whether the caller has hung up its sending side before it sent what was waited for."""

    def begin(self, seconds: float) -> bytes:
        """Return the first bytes of a request; none if the caller asks nothing for so long."""
        data: bytes = b""
        self.idle = True
        with gevent.Timeout(seconds, False):
            data = super().recv(READ_BYTES)
        self.idle = False
        return data

    def recv(self, *arguments: Any) -> bytes:
        """Receive, when all others have had their turn.

        As long as there is something to read, reading alone yields to nobody: who sends fast enough
        would keep the others waiting, and would never meet a deadline.
        """
        gevent.sleep(0)
        data: bytes = super().recv(*arguments)
        self.ended = not data
        return data

    def sendall(self, data: bytes, flags: int = 0) -> None:
        """Send all of it. Raises `TimeoutError` when the caller does not read it."""
        for start in range(0, len(data), ANSWER_BYTES):
            with gevent.Timeout(ANSWER_SECONDS, False):
                super().sendall(data[start : start + ANSWER_BYTES], flags)
                continue
            # Made here, as the body's is: no variable and no trace keep each other.
            raise TimeoutError("the caller does not read its answer")

    def linger(self) -> None:
        """End the conversation so that the caller gets the answer (RFC 9112, section 9.6).

        Closed with something unread, a connection is reset, and the caller's side throws away what
        it has received. So it is told that nothing more comes, and what it still sends is
        discarded, within bounds.
        """
        left = LINGER_BYTES
        with suppress(OSError), gevent.Timeout(LINGER_SECONDS, False):
            self.shutdown(socket.SHUT_WR)
            self.idle = True
            while left > 0 and (data := self.recv(8 * READ_BYTES)):
                left -= len(data)

    def turn_away(self) -> None:
        """Have the reader read the end of the connection, unless it has something to read.

        It then closes as when the caller hangs up.
        """
        readable = poll()  # unlike select(), for file numbers of any size
        with suppress(OSError, ValueError):  # it has just hung up
            readable.register(self, POLLIN)
            if not readable.poll(0):
                self.shutdown(socket.SHUT_RD)
