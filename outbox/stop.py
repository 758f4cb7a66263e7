"""The wish to stop: a flag that signals set and that wakes whoever sleeps."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignal:
    """SIGTERM, SIGINT or a call of `request()`; the second signal does what the OS does by default.

    The handler only sets a flag: nothing may end in the middle of a step. The bytes that the
    interpreter writes to the wake-up socket end a sleep at once, also when the signal comes between
    the look at the flag and the sleep. Python runs handlers between its own instructions: while a
    query is under way in libpq, a first and a second signal alike are heard when it returns.
    """

    def __init__(self) -> None:
        self.requested = False
        self._sockets: tuple[socket.socket, socket.socket] | None = None

    def request(self) -> None:
        """Ask for the end, from any thread."""
        self.requested = True
        if self._sockets is not None:
            with contextlib.suppress(OSError):  # full: the sleeper is woken already; closed: gone
                self._sockets[1].send(b"\0")

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the signals while the block runs; outside the main thread `request()` remains."""
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._sockets = (reader, writer)
        with reader, writer:
            try:
                if threading.current_thread() is threading.main_thread():
                    with self._handlers(writer.fileno()):
                        yield
                else:
                    yield
            finally:
                self._sockets = None

    @contextlib.contextmanager
    def _handlers(self, wakeup_fd: int) -> Iterator[None]:
        before = {number: signal.signal(number, self._handle) for number in SIGNALS}
        fd_before = signal.set_wakeup_fd(wakeup_fd, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(fd_before)
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        self.requested = True

    def sleep(self, seconds: float, *others: Any) -> None:
        """Wait for the seconds, a stop, or something to read on one of the others. In `caught`."""
        if self._sockets is None:
            raise RuntimeError("StopSignal.sleep() is for the block of StopSignal.caught()")
        reader = self._sockets[0]
        if self.requested or seconds <= 0:
            return
        readable, _, _ = select.select([reader, *others], [], [], seconds)
        if reader in readable:
            with contextlib.suppress(BlockingIOError):
                reader.recv(4096)
