"""The socket on which callers come in, of which each worker of the web process has a share."""

from __future__ import annotations

from typing import Any, Final

import gevent
from gevent.server import StreamServer

TURN_SECONDS: Final = 0.001
"""So long a worker leaves those that wait to the others, after it has accepted some."""
TURN_CONNECTIONS: Final = 64
"""So many are accepted in one turn at most."""


class TurnTakingServer(StreamServer):  # type: ignore[misc]  # untyped
    """Accepts connections in turn with the other workers that listen.

    The kernel wakes all of them, and who is awake already wins: of connections that come one after
    the other one worker would get all, and serve them by itself for as long as they are kept open.
    So each pauses when it has accepted one, then two, and so on as long as more are waiting: a
    crowd is not held up.
    """

    max_accept = 1
    _accepted = 0

    def do_read(self) -> Any:
        """Accept a connection, if one still waits."""
        connection = super().do_read()
        if connection is None:
            self._accepted, self.max_accept = 0, 1
            return None
        self._accepted += 1
        if self._accepted >= self.max_accept:
            self._accepted, self.max_accept = 0, min(self.max_accept + 1, TURN_CONNECTIONS)
            self.stop_accepting()
            gevent.spawn_later(TURN_SECONDS, self._go_on)
        return connection

    def _go_on(self) -> None:
        if self.started:
            self.start_accepting()
