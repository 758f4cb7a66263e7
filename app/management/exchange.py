"""One request and its answer, with nothing but the standard library."""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_ANSWER = 65_536
"""Bytes of an answer's body that are kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. The names of the headers are in lower case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    more: bool
    """There was more of the body than is kept."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Address:
    """Where to send to: an http or https URL, taken apart."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query."""

    @classmethod
    def of(cls, url: str) -> Address:
        """Take a URL apart. Raises ValueError, which says what is wrong with it."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            # Its message quotes, perhaps a password.
            raise ValueError("look at its host and port") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("it must begin with http:// or https:// and name a host")
        if "@" in parts.netloc:
            raise ValueError("leave out user and password")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not all("!" <= character <= "~" for character in target):
            raise ValueError("percent-encode what is not visible ASCII")
        default_port = {"http": 80, "https": 443}[parts.scheme]
        return cls(parts.scheme, parts.hostname, port or default_port, target)


def post(address: Address, headers: Mapping[str, str], body: bytes, *, deadline: float) -> Answer:
    """Post, and return the answer, a redirect too: it is not followed.

    Raises OSError, `http.client.HTTPException` or ValueError when there is no answer, TimeoutError
    when it is not whole after `deadline` seconds.
    """
    came: list[Answer | Exception] = []

    def exchange() -> None:
        try:
            came.append(_exchange(address, headers, body, deadline))
        except Exception as error:  # noqa: BLE001 - raised by the thread that waits
            came.append(error)

    # A socket's own deadline begins anew with each byte, and the search for a host has none. The
    # thread is left behind, and ends with the process.
    thread = Thread(target=exchange, daemon=True)
    thread.start()
    thread.join(deadline)
    result = came[0] if came else TimeoutError(f"no whole answer within {deadline:g} s")
    if isinstance(result, Exception):
        raise result
    return result


def _exchange(address: Address, headers: Mapping[str, str], body: bytes, deadline: float) -> Answer:
    # Not urllib: it would follow redirects, and send through a proxy of the environment.
    connection = HTTPConnection(address.host, address.port, timeout=deadline)
    if address.scheme == "https":
        tls = ssl.create_default_context()
        connection = HTTPSConnection(address.host, address.port, timeout=deadline, context=tls)
    try:
        began = time.monotonic()
        connection.connect()
        # A server that refuses a body unread may close before it has all of it: its answer counts.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", address.target, body, dict(headers))
        response = connection.getresponse()
        content = response.read(LONGEST_ANSWER + 1)
        more = len(content) > LONGEST_ANSWER
        if response.length and not more:  # what is to come, and will not: it has ended
            raise HTTPException(f"its body ended after {len(content)} bytes, before it was whole")
        seconds = time.monotonic() - began
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(
            response.status, response.reason, names, content[:LONGEST_ANSWER], more, seconds
        )
    finally:
        connection.close()
