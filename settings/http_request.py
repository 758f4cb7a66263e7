"""A request as it is taken from the connection, read more strictly than gunicorn reads it."""

from __future__ import annotations

from io import BytesIO
from typing import Any, Final
from urllib.parse import urlsplit

import gevent
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import InvalidHeader, ParseException, UnsupportedTransferCoding
from gunicorn.http.message import Request as GunicornRequest
from gunicorn.http.parser import RequestParser

from settings.body import ContinuedReader
from settings.caller import READ_BYTES

HEAD_BYTES: Final = 32_768
"""How long the headers of a request may be together, and its trailers."""
CHUNKED_READ_BYTES: Final = 1_024
"""How much is read at once of a body in chunks, but for the data of a longer chunk.

gunicorn copies all that was read behind a chunk for that chunk: tiny ones cost by the square of
this, and all of it before the others have their turn.
"""


class LateHead(ParseException):  # type: ignore[misc]  # untyped
    """The headers of a request did not end in time."""


class Request(GunicornRequest):  # type: ignore[misc]  # untyped
    """A request with one meaning, after which the connection is used again only if it is whole.

    Refused besides what gunicorn refuses: HTTP/1.1 without a Host, and any transfer coding but
    `chunked` alone, since an application is handed what the other codings have made of the body.
    """

    version: tuple[int, int]
    headers: list[tuple[str, str]]
    _expected_100_continue: bool

    def parse(self, unreader: Any) -> bytes:
        """Read the head of the request. Raises `ParseException`, and `NoMoreData` at its end."""
        # gunicorn would hold as much as all headers of the greatest size, and look through it with
        # each byte that comes.
        self.max_buffer_headers = HEAD_BYTES
        unused: bytes = super().parse(unreader)
        self.version = min(self.version, (1, 1))  # in which the answer to a later 1.x is written
        self._settle_host()
        return unused

    def set_body_reader(self) -> None:
        """Settle where the body ends, and that it is asked for when it is first read."""
        super().set_body_reader()
        for name, value in self.headers:
            if name == "TRANSFER-ENCODING" and value.lower() != "chunked":
                raise UnsupportedTransferCoding(value)
        self._framed = self.body.reader
        by_length = isinstance(self._framed, LengthReader)
        self.unreader.mxchunk = READ_BYTES if by_length else CHUNKED_READ_BYTES
        if "close" in self._options():
            self.force_close()
        if self._expected_100_continue:
            # gunicorn would answer before the application has said whether it wants the body.
            self._expected_100_continue = False
            self.body.reader = ContinuedReader(self._framed, self.unreader.sock.sendall)

    def should_close(self) -> bool:
        """Whether this is the last request of the connection.

        It is when its body was not read to the end: to read it only to go on would be work that
        the caller decides upon.
        """
        return super().should_close() or not self._is_whole()

    def forget(self) -> None:
        """Let go of what was read of the body, and read no more of it.

        Django's requests refer to themselves: they and what they hold would wait for the garbage
        collector, which counts objects and not that some have a megabyte each.
        """
        self.body.buf = BytesIO()
        self.body.reader = self._framed = None

    def _is_whole(self) -> bool:
        if self.body.failed or self.unreader.sock.ended:
            return False
        if isinstance(self._framed, LengthReader):
            return bool(self._framed.length == 0)
        return self._framed.parser is None  # chunked: the last chunk and the trailers were read

    def _options(self) -> set[str]:
        """What the Connection headers say: gunicorn reads the first alone, as one word."""
        values = [value for name, value in self.headers if name == "CONNECTION"]
        return {option.strip().lower() for value in values for option in value.split(",")}

    def _settle_host(self) -> None:
        """Let a target in the absolute form say the host (RFC 9112, section 3.2.2)."""
        if not self.uri.startswith("/") and "://" in self.uri:
            others = [header for header in self.headers if header[0] != "HOST"]
            self.headers = [*others, ("HOST", urlsplit(self.uri).netloc)]
        elif self.version >= (1, 1) and not any(name == "HOST" for name, _ in self.headers):
            raise InvalidHeader("HOST")


class Parser(RequestParser):  # type: ignore[misc]  # untyped
    """Takes one request after the other from a connection."""

    mesg_class = Request

    def begins(self, seconds: float) -> bool:
        """Whether another request begins, which the caller has some seconds for.

        All others have their turn before it: who sends many at once would keep them waiting for as
        long as one of them follows another.
        """
        gevent.sleep(0)
        held = self.unreader.take_buffered() or self.unreader.sock.begin(seconds)
        self.unreader.unread(held)
        return bool(held)

    def forget(self) -> None:
        """Let go of all that was read: the conversation is over."""
        self.unreader.take_buffered()
        if self.mesg is not None:
            self.mesg.forget()
