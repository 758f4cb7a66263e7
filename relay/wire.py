"""An AMQP connection on which nothing waits past one deadline."""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import contextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from amqp import spec
from amqp.transport import to_host_port
from kombu.transport import pyamqp

from relay.errors import Blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Wire(pyamqp.Connection):
    """py-amqp's connection with a deadline for every read and write, held-back writes and the
    broker's word when it blocks publishers.

    py-amqp's own timeouts do not bound a wait: they hold for one system call each, a read that
    times out in the middle of a frame is repeated for ever, and a wait for a reply has none.
    """

    # py-amqp leaves out the argument of connection.blocked: the reason.
    _METHODS = {  # noqa: RUF012
        **pyamqp.Connection._METHODS,  # type: ignore[attr-defined]
        spec.Connection.Blocked: spec.method(spec.Connection.Blocked, "s"),
    }

    def __init__(self, *args: Any, deadline: float, **kwargs: Any) -> None:
        self.deadline = deadline
        """When every wait ends in TimeoutError, by `time.monotonic()`."""
        self._held: bytearray | None = None
        super().__init__(*args, **kwargs)

    def remaining(self) -> float:
        left = self.deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def connect(self, callback: Callable[..., Any] | None = None) -> None:
        try:
            # A name may stand for several addresses, tried one after the other.
            addresses = socket.getaddrinfo(*to_host_port(self.host), type=socket.SOCK_STREAM)
            self.connect_timeout = self.remaining() / len(addresses)
            super().connect(callback)
        except BaseException:
            self.abandon()
            raise

    def Transport(self, *args: Any, **kwargs: Any) -> Any:  # noqa: N802 (py-amqp's hook)
        transport = super().Transport(*args, **kwargs)
        write = transport.write

        def write_by_deadline(data: bytes) -> None:
            if self._held is not None:
                self._held += data
                return
            transport.sock.settimeout(self.remaining())
            write(data)

        transport.write = write_by_deadline
        return transport

    @contextmanager
    def held(self) -> Iterator[bytearray]:
        """What is written inside goes out in one piece at the end; inside, nothing can block."""
        self._held = data = bytearray()
        try:
            yield data
        finally:
            self._held = None
        if data:
            self.transport.write(data)

    def blocking_read(self, timeout: float | None = None) -> Any:  # noqa: ARG002 - see deadline
        with self.transport.having_timeout(self.remaining()):
            frame = self.transport.read_frame()
        return self.on_inbound_frame(frame)

    def readable(self) -> bool:
        """Something has arrived (or the connection is dead, which reading will tell)."""
        sock = self.transport.sock
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return True
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))

    def _on_blocked(self, reason: str = "") -> None:
        raise Blocked(f"the broker blocks publishers: {reason or 'see its log'}")

    def abandon(self) -> None:
        """Drop the connection without a word: a polite close waits for a frozen broker."""
        transport: Any = getattr(self, "_transport", None)
        with suppress(OSError, AttributeError, ValueError):
            transport.sock.settimeout(0)  # TLS says goodbye, too, and waits for the answer
        with suppress(OSError, AttributeError, ValueError):
            self.collect()
