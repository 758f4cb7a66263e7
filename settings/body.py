"""The body of a request, as gunicorn reads it from the connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

import gevent
from gunicorn.http.errors import NoMoreData, ParseException

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Reader(Protocol):
    """What gunicorn reads a body with: by its length, or by its chunks."""

    def read(self, size: int) -> bytes:
        """Return `size` bytes; fewer at the end of the body."""
        ...


class BrokenBody(NoMoreData):  # type: ignore[misc]  # untyped
    """The caller's body cannot be read to its end.

    An `OSError`, by which an application knows that; and gunicorn's own for a caller who hung up,
    so that it closes the connection quietly where it meets this itself, skipping an unread body.
    """

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason
        self.args = (reason,)  # what Django makes its own error of

    def __str__(self) -> str:
        return self.reason


class ContinuedReader:
    """A reader whose caller waits with the body until it is wanted (RFC 9110, section 10.1.1).

    Who is refused without a look at the body, with 404, 405 or 413, is thus spared to send it.
    """

    def __init__(self, reader: Reader, send: Callable[[bytes], None]) -> None:
        self._reader = reader
        self._send = send
        self._wanted = False

    def read(self, size: int) -> bytes:
        """Read as the reader does, the first time after having asked for the body."""
        if not self._wanted:
            self._wanted = True
            self._send(CONTINUE)
        return self._reader.read(size)


class PromptReader:
    """A reader that gives up after some seconds, and whose every failure is an `OSError`.

    The seconds are for the whole body, however many reads it takes, so that a caller who sends a
    byte at a time wins nothing; what the application does between two reads does not count. The
    timer runs during a read alone, so it never meets a query.

    A connection whose body failed is closed, so its rest is not taken for a request. gunicorn sees
    that for an `Exception`, which gevent's own is not.
    """

    def __init__(self, reader: Reader, seconds: float) -> None:
        self._reader = reader
        self._seconds = seconds
        self._left = seconds

    def read(self, size: int) -> bytes:
        """Read as the reader does. Raises `BrokenBody` and other kinds of `OSError`."""
        began = time.monotonic()
        try:
            with gevent.Timeout(max(self._left, 0.0), False):
                return self._reader.read(size)
            # Made here, and not for the timer: a local variable and the trace of an error that know
            # each other would keep what was read until the garbage collector comes by.
            raise BrokenBody(f"the body did not end within {self._seconds} s")
        except ParseException as error:
            # Its kind alone: the message quotes what was sent.
            kind = type(error).__name__
            raise BrokenBody(f"the body is not framed as HTTP has it: {kind}") from error
        finally:
            self._left -= time.monotonic() - began
