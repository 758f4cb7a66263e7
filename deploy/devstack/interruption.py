"""Ctrl-C and SIGTERM, as one exception that comes only where it does no harm."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(KeyboardInterrupt):
    """Somebody asked the program to end: Ctrl-C, SIGTERM, or a terminal that was closed."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Interruption:
    """Raises ``Stopped`` in the main thread when a signal asks the program to end."""

    def __init__(self) -> None:
        self._deferring = False
        self._pending: int | None = None

    def install(self) -> None:
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self._handle)
        # nohup ignores SIGHUP on purpose.
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._handle)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold a signal back until the end of the block: a child is half started in it."""
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        if self._pending is not None:
            signum, self._pending = self._pending, None
            raise Stopped(signum)

    def ignore(self) -> None:
        """Take no further signal: the last steps of the end are under way."""
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)

    def _handle(self, signum: int, _: FrameType | None) -> None:
        if self._deferring:
            self._pending = signum
        else:
            raise Stopped(signum)
