"""The web process's metrics for Prometheus, on a port of their own beside the public one.

Each worker counts in files of its own, in a folder that all of them read: whichever worker answers
answers for all. The folder is new with each start of the server.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

ADDRESS: Final = "127.0.0.1"
ANSWER_SECONDS: Final = 5.0
CALLERS: Final = 8
PLACE: Final = Path("/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir())  # noqa: S108
PREFIX: Final = "pillarbox-metrics-"


class MetricsPage:
    """Made in the server's own process, which its workers are forked from; they serve it.

    No thread and no greenlet of it runs where the fork takes place.
    """

    def __init__(self, port: int) -> None:
        """Listen. Raises `OSError` when somebody else does."""
        self._owner = os.getpid()
        # Shared: the workers of a server that was killed are still there when it starts again.
        self._listener = socket.create_server((ADDRESS, port), reuse_port=True)
        self._folder, self._lock = _new_folder()
        # The library reads it when it is first imported: by the workers, or by `forget`.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = self._folder
        atexit.register(self._remove)

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
            """One connection, for a few seconds at most."""

            def handle(self) -> None:
                with Timeout(ANSWER_SECONDS, False):
                    super().handle()

        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        WSGIServer(
            cooperative.socket(fileno=os.dup(self._listener.fileno())),
            make_wsgi_app(registry),
            handler_class=Handler,
            spawn=Pool(CALLERS),
            log=None,
        ).start()

    def forget(self, worker: int) -> None:
        """Leave out what a worker that has ended said of its present state; its counts stay."""
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker)  # type: ignore[no-untyped-call]

    def _remove(self) -> None:
        if os.getpid() == self._owner:  # a worker inherits the call
            shutil.rmtree(self._folder, ignore_errors=True)


@cache
def opened(port: int) -> MetricsPage | None:
    """Return the page of this server, none for port 0.

    Once: gunicorn reads its settings anew at each reload, while the workers before still serve.
    """
    return MetricsPage(port) if port else None


def _new_folder() -> tuple[str, int]:
    """Make the folder, and lock it for as long as the server or one of its workers lives."""
    for left in PLACE.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or one that is gone
            _remove_unlocked(left)
    while True:
        folder = tempfile.mkdtemp(prefix=PREFIX, dir=PLACE)
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if Path(folder).is_dir():  # nobody took it for a leftover before it was locked
            return folder, lock
        os.close(lock)


def _remove_unlocked(folder: Path) -> None:
    """Remove what a server that was killed has left; its process id may mean another by now."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(lock)
