"""The web process's worker: gunicorn's for gevent, which hears a stop at once.

gunicorn's own looks once a second whether it is to stop and once a second whether its connections
are done, and it waits for those that callers keep open without asking anything.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from select import select
from time import monotonic
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.sock import ssl_context
from gunicorn.workers.ggevent import GeventWorker

REPORT_SECONDS = 1.0
"""How often a worker tells gunicorn that it lives."""
ARRIVAL_SECONDS = 0.25
"""How long a stop waits for requests that are on their way on open connections."""


class PromptWorker(GeventWorker):  # type: ignore[misc]  # untyped
    """Ends when the requests that have begun are answered; who asks nothing is not waited for."""

    def patch(self) -> None:
        """Make what needs gevent's patches, the first thing in a worker's life."""
        super().patch()
        self._woken = Event()
        self._clients: dict[Any, Any] = {}
        self._idle: set[Any] = set()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM's handler."""
        super().handle_exit(sig, frame)
        self._woken.set()

    def run(self) -> None:
        """Serve until a stop, then answer what has begun, within `graceful_timeout` seconds."""
        servers = [self._serve(listener) for listener in self.sockets]
        while self.alive:
            self.notify()
            self._woken.wait(REPORT_SECONDS)
        for server in servers:
            server.close()
        end = monotonic() + self.cfg.graceful_timeout
        if not self._answered(servers, monotonic() + ARRIVAL_SECONDS):
            self._turn_idle_away()
            if not self._answered(servers, end):
                self.log.warning("Worker graceful timeout (pid:%s)", self.pid)
                for server in servers:
                    server.stop(timeout=1)

    def _serve(self, listener: Any) -> StreamServer:
        listener.setblocking(1)
        tls = {"ssl_context": ssl_context(self.cfg)} if self.cfg.is_ssl else {}
        handle, pool = partial(self.handle, listener), Pool(self.worker_connections)
        server = StreamServer(listener, handle=handle, spawn=pool, **tls)
        if self.cfg.workers > 1:
            server.max_accept = 1  # or one worker takes all that wait, and another none
        server.start()
        return server

    def _answered(self, servers: list[StreamServer], end: float) -> bool:
        """Wait until no connection is left; False if `end` comes first."""
        for server in servers:
            while len(server.pool) and (left := end - monotonic()) > 0:
                self.notify()
                server.pool.join(timeout=min(REPORT_SECONDS, left))
        return not any(len(server.pool) for server in servers)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection."""
        me = gevent.getcurrent()
        self._clients[me] = client
        try:
            super().handle(listener, client, addr)
        finally:
            del self._clients[me]

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Bound the wait for a request; after a stop there is none, beyond what has arrived."""
        client = self._clients[gevent.getcurrent()]
        with gevent.Timeout(self.cfg.keepalive if self.alive else 0, False):
            self._idle.add(client)
            try:
                yield
            finally:
                self._idle.discard(client)

    def _turn_idle_away(self) -> None:
        for client in list(self._idle):
            with suppress(OSError, ValueError):  # it has just hung up
                arrived, _, _ = select([client], [], [], 0)
                if not arrived:
                    client.shutdown(socket.SHUT_RD)  # it reads the end, and closes as at any end
