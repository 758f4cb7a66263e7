"""What the program tells the people who start it: plain lines, flushed one by one."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Console:
    """Writes whole lines and flushes each, so that a pipe or a log file sees them as they happen.

    Colour is used on a terminal only, and never when ``NO_COLOR`` is set (no-color.org).
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._colour = self._stream.isatty() and not os.environ.get("NO_COLOR")
        self._started = time.monotonic()
        self._lock = threading.Lock()  # the servers are started by threads, and all have a say

    @property
    def elapsed(self) -> float:
        """Seconds since the program started."""
        return time.monotonic() - self._started

    def at(self, moment: float) -> float:
        """Seconds from the start of the program to a moment of ``time.monotonic()``."""
        return moment - self._started

    def line(self, text: str = "") -> None:
        """Write one line as it is. A reader that has gone away is no reason to stop serving."""
        try:
            with self._lock:
                self._stream.write(f"{text}\n")
                self._stream.flush()
        except (BrokenPipeError, ValueError):
            pass

    def lines(self, texts: list[str]) -> None:
        for text in texts:
            self.line(text)

    def say(self, text: str) -> None:
        """Write one line of progress, after the seconds since the start."""
        self.line(f"{self.dim(f'{self.elapsed:7.1f} s')}  {text}")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Say what was done and how long it took, once the block has ended well."""
        began = time.monotonic()
        yield
        self.say(f"{text} ({time.monotonic() - began:.1f} s)")

    def bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._colour else text

    def dim(self, text: str) -> str:
        return f"\033[2m{text}\033[0m" if self._colour else text
