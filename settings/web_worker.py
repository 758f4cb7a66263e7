"""The web process's worker: gunicorn's for gevent, which ends within a second when it is idle.

gunicorn's own looks once a second whether it is to stop and once a second whether its connections
are done, and it waits for those that a proxy in front keeps open without asking anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from select import POLLIN, poll  # the real one, which yields to no other greenlet
from time import monotonic
from typing import Any

import gevent
from gevent import socket
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.workers.ggevent import GeventWorker

TICK_SECONDS = 0.2
"""How often a worker looks whether it is to stop; so long it then waits for requests that are on
their way on open connections."""


class Caller(socket.socket):  # type: ignore[misc]  # untyped
    """A connection that knows whether it waits for a request of which it has read nothing yet."""

    idle = False

    def recv(self, *arguments: Any) -> bytes:
        """Receive; with the first bytes a request has begun."""
        data: bytes = super().recv(*arguments)
        self.idle = False
        return data

    def turn_away(self) -> None:
        """Have the reader read the end of the connection, unless it has something to read.

        It then closes as when the caller hangs up.
        """
        readable = poll()  # unlike select(), for file numbers of any size
        with suppress(OSError, ValueError):  # it has just hung up
            readable.register(self, POLLIN)
            if not readable.poll(0):
                self.shutdown(socket.SHUT_RD)


class PromptWorker(GeventWorker):  # type: ignore[misc]  # untyped
    """Ends when the requests that have begun are answered; who asks nothing is not waited for.

    A request has begun when its first byte has come in. It has as long as any: `keepalive` seconds
    for its headers, and with its body and its answer it must be done within `graceful_timeout`.
    """

    def run(self) -> None:
        """Serve until a stop, then answer what has begun."""
        self._callers: dict[Any, Caller] = {}
        handlers = Pool(self.worker_connections)
        servers = [self._serve(listener, handlers) for listener in self.sockets]
        while self.alive:
            self.notify()
            gevent.sleep(TICK_SECONDS)
        for server in servers:
            server.close()
        end = monotonic() + self.cfg.graceful_timeout
        while not handlers.join(timeout=TICK_SECONDS):
            self.notify()
            for caller in [each for each in self._callers.values() if each.idle]:
                caller.turn_away()
            if monotonic() >= end:
                self.log.warning("Worker graceful timeout (pid:%s)", self.pid)
                handlers.kill(timeout=1)
                return

    def _serve(self, listener: Any, handlers: Pool) -> StreamServer:
        listener.setblocking(1)
        server = StreamServer(listener, handle=partial(self.handle, listener), spawn=handlers)
        if self.cfg.workers > 1:
            server.max_accept = 1  # or one worker takes all that wait, and another none
        server.start()
        return server

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection."""
        caller = Caller(client.family, client.type, client.proto, fileno=client.detach())
        me = gevent.getcurrent()
        self._callers[me] = caller
        try:
            super().handle(listener, caller, addr)
        finally:
            del self._callers[me]

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Bound the wait for a request and for its headers."""
        caller = self._callers[gevent.getcurrent()]
        with super().timeout_ctx():
            caller.idle = True
            try:
                yield
            finally:
                caller.idle = False
