"""Free TCP ports on 127.0.0.1."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Collection

LOWEST, HIGHEST = 20_000, 32_000
"""Below the range from which Linux takes the ports of outgoing connections (32768 and up): none of
those can take a port between its choice and the moment the server listens on it."""


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: a connection that is only waiting out its end does not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(but_not: Collection[int] = ()) -> int:
    """A free port chosen at random, so that stacks started at the same moment do not collide."""
    for _ in range(1000):
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if port not in but_not and is_free(port):
            return port
    raise OSError(f"no free port between {LOWEST} and {HIGHEST} on 127.0.0.1")


def is_listening(port: int) -> bool:
    """Whether somebody answers on this port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False
