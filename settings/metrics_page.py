"""The web process's metrics for Prometheus, on a port of their own beside the public one.

Each worker counts in files of its own, in a folder that all of them read: whichever worker answers
answers for all. Metrics are worth less than the deliveries that they tell of: a worker that finds
no room for its files says so, and works uncounted.
"""

from __future__ import annotations

import atexit
import errno
import logging
import os
import socket
import time
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Final

from settings.metrics_folder import MetricsFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

logger = logging.getLogger("gunicorn.error")  # the server's: Django's are not there yet

ADDRESS: Final = "127.0.0.1"
PATH: Final = "/metrics"
HEAD_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 5.0
CALLERS: Final = 64
BIND_SECONDS: Final = 5.0
"""The workers of a server that was killed listen for a moment more: gunicorn's own patience."""


class MetricsPage:
    """Made in the server's own process, which its workers are forked from; they serve it.

    No thread and no greenlet of it runs where the fork takes place, and the library is not imported
    there: it looks at its folder once, when it is.
    """

    def __init__(self, port: int) -> None:
        """Listen. Raises `OSError` when somebody else does, or no folder can be made."""
        self._listener = _listener(port)
        self._folder = MetricsFolder()
        atexit.register(self._folder.remove)

    def renew(self) -> None:
        """See that the folder is there for a worker that is about to be forked."""
        try:
            self._folder.renew()
        except OSError as fault:
            logger.warning("metrics.no_folder: %s: %s", self._folder.path, fault.strerror)

    def begin(self, worker: int) -> None:
        """Let this worker count for the page, before it imports the library."""
        try:
            self._folder.reserve(worker)
        except OSError as fault:
            logger.warning(
                "metrics.no_room: %s: %s; worker %s works uncounted",
                self._folder.path,
                fault.strerror,
                worker,
            )
        else:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(self._folder.path)

    def serve(self) -> None:
        """Answer in this worker, as long as it lives."""
        # gevent's, not before the worker is patched.
        from gevent import Timeout
        from gevent import socket as cooperative
        from gevent.pool import Pool
        from gevent.pywsgi import WSGIHandler, WSGIServer
        from prometheus_client import CollectorRegistry, make_wsgi_app
        from prometheus_client.multiprocess import MultiProcessCollector

        class Handler(WSGIHandler):  # type: ignore[misc]  # untyped
            """One connection, for a few seconds at most, and less for one that asks nothing."""

            def handle(self) -> None:
                self.head = Timeout(HEAD_SECONDS, False)
                with Timeout(ANSWER_SECONDS, False), self.head:
                    super().handle()

            def get_environ(self) -> Any:
                self.head.close()  # it has asked
                return super().get_environ()

        registry = CollectorRegistry()
        with suppress(ValueError):  # without a folder the page is empty
            MultiProcessCollector(registry, str(self._folder.path))  # type: ignore[no-untyped-call]
        WSGIServer(
            cooperative.socket(fileno=os.dup(self._listener.fileno())),
            _at_its_path(make_wsgi_app(registry)),
            handler_class=Handler,
            spawn=Pool(CALLERS),
            log=None,
        ).start()

    def forget(self, worker: int) -> None:
        """Leave out what a worker that has ended said of its present state; its counts stay."""
        self._folder.forget(worker)


@cache
def opened(port: int) -> MetricsPage | None:
    """Return the page of this server, none for port 0.

    Once: gunicorn reads its settings anew at each reload, while the workers before still serve.
    """
    return MetricsPage(port) if port else None


def _listener(port: int) -> socket.socket:
    """Listen, alone: of two servers that share a port, each would answer every other scrape."""
    deadline = time.monotonic() + BIND_SECONDS
    while True:
        try:
            return socket.create_server((ADDRESS, port))
        except OSError as taken:
            if taken.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _at_its_path(page: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Serve what the library would serve at any path."""

    def serve(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == PATH:
            return page(environ, start)
        start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"The metrics are at {PATH}.\n".encode()]

    return serve
