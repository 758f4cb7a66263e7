"""gunicorn's settings: ``gunicorn -c settings/gunicorn.py settings.wsgi``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from settings import databases, env, metrics_page

# Read by the workers' settings: their greenlets share a pool of connections.
os.environ["DATABASE_POOL"] = "true"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.production")

try:
    # Here a mistake stops the server with one message; in a worker it would be a traceback each.
    env.check("web", production=os.environ["DJANGO_SETTINGS_MODULE"] == "settings.production")
    databases.primary("web")
    databases.replica("web")
    bind = f"127.0.0.1:{env.integer('PORT')}"
    workers = env.integer("WEB_CONCURRENCY")
    body_seconds = env.integer("WEB_BODY_SECONDS")
    page = metrics_page.opened(env.integer("WEB_METRICS_PORT"))
except ImproperlyConfigured as mistake:
    sys.exit(str(mistake))
except OSError as taken:
    sys.exit(f"The port of WEB_METRICS_PORT cannot be used: {taken.strerror}. Give another.")

worker_class = "settings.web_worker.PromptWorker"  # gevent's
worker_connections = 1_000
# A worker reports each second. One that is silent for so long hangs as a whole, whatever its
# requests do, and is replaced.
timeout = 30
# A request ends within seconds, by the deadlines of pool, locks and statements; an idle connection
# that a client keeps is closed before the patience of a stop is over. Only a client that is slow to
# send a body may be cut off: nothing of that was accepted.
graceful_timeout = 8
# Seconds for which a connection is kept that asks nothing, and that the headers of a request have.
keepalive = 5
# The parser whose strictness is tested, whatever else is installed.
http_parser = "python"
# A proxy that passes on all headers would let any caller set what gunicorn trusts a proxy with: the
# path, by names with an underscore, and the scheme, by three headers. One is what proxies set.
forwarder_headers = ""
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
# Its own way past our sockets has no deadline.
sendfile = False
# The workers report through a file: in memory, so that a busy disk cannot make them look dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
# One socket in the home folder for all servers of a user: two of them would fight over it.
control_socket_disable = True


def when_ready(server: Any) -> None:
    """Let a second SIGTERM end it at once; gunicorn alone hears that of SIGINT and SIGQUIT."""

    def first(number: int, frame: Any) -> None:
        signal.signal(signal.SIGTERM, second)
        server.signal(number, frame)

    def second(_number: int, frame: Any) -> None:
        server.signal(signal.SIGQUIT, frame)

    signal.signal(signal.SIGTERM, first)  # in the workers, gunicorn puts its own in its place


def pre_fork(_server: Any, _worker: Any) -> None:
    """See that a worker has where to count."""
    if page:
        page.renew()


def post_fork(_server: Any, worker: Any) -> None:
    """Let a worker count, before it loads what counts."""
    if page:
        page.begin(worker.pid)


def pre_request(_worker: Any, request: Any) -> None:
    """Bound the time that the body may take; the worker bounds that of the headers alone."""
    from settings.body import PromptReader  # gevent's, not before the worker is patched

    request.body.reader = PromptReader(request.body.reader, body_seconds)


def post_worker_init(_worker: Any) -> None:
    """Make psycopg2 cooperative, watch over the door, commit in groups, and serve the metrics."""
    # Not before the worker is patched, and the application loaded.
    from app import door, group_commit, metrics
    from settings.geventpool import wait

    wait.install()  # psycopg2 is C, which monkey-patching does not reach
    metrics.begin()
    door.start()
    group_commit.start()
    if page:
        page.serve()


def worker_exit(_server: Any, _worker: Any) -> None:
    """Leave the database without a session whose end it would have to notice by itself."""
    for name in ("app.group_commit", "app.door"):
        module = sys.modules.get(name)  # not there in a worker that failed to start
        if module:
            module.stop()


def child_exit(_server: Any, worker: Any) -> None:
    """Forget what a worker that has ended said of its present state."""
    if page:
        page.forget(worker.pid)
