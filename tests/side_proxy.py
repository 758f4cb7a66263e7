"""A proxy between the database and the connections beside Django's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from outbox import side_connection
from tests.relay.tcp_proxy import TcpProxy


@contextmanager
def beside_django() -> Iterator[TcpProxy]:
    """For side connections that are opened inside; Django's own goes straight to the server."""
    given = side_connection._parameters()
    with TcpProxy((given["host"], int(given["port"]))) as proxy, pytest.MonkeyPatch.context() as p:
        there = {**given, "host": "127.0.0.1", "port": proxy.port}
        p.setattr(side_connection, "_parameters", lambda: there)
        yield proxy
