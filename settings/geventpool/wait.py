"""Waiting for PostgreSQL without stopping the other greenlets."""

from __future__ import annotations

from typing import Final

from gevent.socket import wait_read, wait_write
from psycopg2 import OperationalError, extensions

ANSWER_SECONDS: Final = 10.0
"""How long the server may say nothing at all. Its own limits end a statement of the web process
after 5 seconds, unless the URL's options say otherwise; a server that is frozen, or whose machine
is gone, would be waited for without end, and each request would keep its connection of the pool."""


def install() -> None:
    """Let every psycopg2 connection of this process wait on gevent's loop."""
    extensions.set_wait_callback(wait_on_the_loop)


def is_installed() -> bool:
    """Tell whether psycopg2 is cooperative in this process."""
    return extensions.get_wait_callback() is not None


def wait_on_the_loop(connection: extensions.connection) -> None:
    """Let other greenlets run until libpq has what it waits for.

    psycopg2 closes the connection when this raises, so a deadline that ends the wait
    (``gevent.Timeout``) never leaves half an answer behind for the next request.
    """
    while (state := connection.poll()) != extensions.POLL_OK:
        if state == extensions.POLL_READ:
            wait_read(connection.fileno(), ANSWER_SECONDS, _silence())
        elif state == extensions.POLL_WRITE:
            wait_write(connection.fileno(), ANSWER_SECONDS, _silence())
        else:
            raise OperationalError(f"libpq asks for an unknown kind of wait: {state!r}")


def _silence() -> OperationalError:
    return OperationalError(f"The database has not answered within {ANSWER_SECONDS:g} s.")
