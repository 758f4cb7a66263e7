"""One real process of the service by itself, on the test database and the broker."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import TimeoutExpired

from deploy.devstack import application
from deploy.devstack.process import Process
from tests.service import Service, database_url, free_port
from tests.sql import query
from tests.waiting import eventually

LISTENS = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'
AND application_name = 'pillarbox ' || %(name)s
"""


@contextmanager
def one_process(
    name: str,
    folder: Path,
    *arguments: str,
    argv: tuple[str, ...] | None = None,
    wsgi: str | None = None,
    **environment: str,
) -> Iterator[Service]:
    """Start one of the four processes, with further arguments, or what `argv` says in its place.

    With `wsgi` the web process serves that application and not the service's own.
    """
    port = free_port()
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    accepted = environment.pop("WEBHOOK_SECRETS", secret)
    own = {"WEBHOOK_SECRETS": accepted, "DJANGO_SECRET_KEY": secrets.token_urlsafe(50)}
    broker = environment.pop("CELERY_BROKER_URL", os.environ["CELERY_BROKER_URL"])
    database = environment.pop("DATABASE_URL", "") or database_url("default")
    servers = {"DATABASE_URL": database, "CELERY_BROKER_URL": broker}
    given = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings.base", **environment}
    given.pop("DATABASE_REPLICA_URL", None)
    env = application.environment(servers, own, given)
    [process] = [p for p, _ in application.processes(port, folder, env) if p.name == name]
    if wsgi:
        process.argv[-1] = wsgi
    process.argv = [*(argv or process.argv), *arguments]
    process.start()
    try:
        yield Service(port, accepted.split()[0], {name: process})
    finally:
        process.stop(1)


def wait_until_idle(service: Service, name: str) -> None:
    """Wait until the process has come up and has nothing to do."""
    process = service.processes[name]

    def idle() -> bool:
        assert process.poll() is None, process.complaint("ended")
        if name == "worker":
            return " ready." in process.output()
        if name == "web":
            with suppress(OSError):
                return service.ask("GET", "/readyz").status == 200
            return False
        return bool(query(LISTENS, name=name))

    eventually(idle, 40)


def stop(process: Process, number: int = signal.SIGTERM, patience: float = 20) -> tuple[int, float]:
    """Send a signal: the exit code, and the seconds that it took."""
    began = time.monotonic()
    process.send(number)
    return process.wait(patience), time.monotonic() - began


def stop_twice(process: Process, second: int = signal.SIGTERM) -> int:
    """SIGTERM and another signal: the exit code."""
    process.send(signal.SIGTERM)
    with suppress(TimeoutExpired):
        process.wait(1)
        raise AssertionError(process.complaint("did not wait for its work"))

    def ended() -> bool:
        process.send(second)  # merged with the first as long as that was not heard
        return process.poll() is not None

    eventually(ended, 20)
    code = process.poll()
    assert code is not None
    return code
