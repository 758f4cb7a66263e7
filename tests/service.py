"""The four real processes of the service, on the test database and the real broker."""

from __future__ import annotations

import base64
import http.client
import json
import os
import secrets
import signal
import socket
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import celery
from django.db import connections

from app import signature
from deploy.devstack import application
from deploy.devstack.process import Process
from tests.waiting import eventually

START_SECONDS = 30.0
ALL = ("web", "postprocess", "relay", "worker")


def database_url(alias: str) -> str:
    """The URL of the test database behind an alias."""
    given = connections[alias].settings_dict
    return (
        f"postgresql://{quote(given['USER'])}:{quote(given['PASSWORD'])}"
        f"@{given['HOST']}:{given['PORT']}/{quote(given['NAME'])}"
    )


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: post to it, and reach its processes."""

    port: int
    secret: str
    processes: dict[str, Process]

    def connection(self) -> http.client.HTTPConnection:
        """A connection to its web process, to be closed by the caller."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """One request on a connection of its own."""
        connection = self.connection()
        try:
            return send(connection, method, path, body, headers)
        finally:
            connection.close()

    def signed(self, body: bytes, webhook_id: str) -> dict[str, str]:
        """The headers that make a body a delivery."""
        now = int(time.time())
        return {
            "content-type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature.sign(self.secret, webhook_id, now, body),
        }

    def deliver(self, event: dict[str, Any], webhook_id: str | None = None) -> Answer:
        """Sign and post one delivery."""
        body = json.dumps(event).encode()
        headers = self.signed(body, webhook_id or f"msg_{uuid.uuid4().hex}")
        return self.ask("POST", "/webhooks/posts/", body, **headers)


def send(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes,
    headers: dict[str, str],
) -> Answer:
    """One request on a connection that stays open; the body of the answer is read as JSON."""
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    raw = response.read()
    found = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, found, json.loads(raw) if raw else None)


@contextmanager
def running(folder: Path, *, only: Collection[str] = ALL, **environment: str) -> Iterator[Service]:
    """Start web, post-processor, relay and worker, wait until they work, stop them at the end.

    They use the broker of the tests, or the one of `CELERY_BROKER_URL`. `only` names the processes
    to start, `web` among them.
    """
    port = free_port()
    new = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    secret = environment.pop("WEBHOOK_SECRETS", new)
    servers = {
        "DATABASE_URL": database_url("default"),
        "CELERY_BROKER_URL": environment.get("CELERY_BROKER_URL", os.environ["CELERY_BROKER_URL"]),
    }
    if "replica" in connections:
        servers["DATABASE_REPLICA_URL"] = database_url("replica")
    own = {"WEBHOOK_SECRETS": secret, "DJANGO_SECRET_KEY": secrets.token_urlsafe(50)}
    given = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings.base", **environment}
    env = application.environment(servers, own, given)
    everything = application.processes(port, folder, env)
    started = [(process, patience) for process, patience in everything if process.name in only]
    _empty_the_queue(servers["CELERY_BROKER_URL"])
    service = Service(port, secret, {process.name: process for process, _ in started})
    try:
        for process, _ in started:
            process.start()
        eventually(lambda: _is_ready(service), START_SECONDS)
        yield service
    finally:
        for process, _ in started:  # all at once: none has to outlive another here
            process.send(signal.SIGTERM)
        for process, patience in started:
            process.stop(patience)


def kill(process: Process) -> None:
    """End it as `kill -9` does, and see that it was that which ended it."""
    process.send(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL


def _empty_the_queue(broker_url: str) -> None:
    """Take away what an earlier run that was cut off has left in the broker."""
    with celery.current_app.connection_for_write(broker_url) as connection:
        queue = celery.current_app.amqp.queues["celery"](connection.default_channel)
        queue.declare()
        queue.purge()


def _is_ready(service: Service) -> bool:
    for process in service.processes.values():
        assert process.poll() is None, process.complaint("ended")
    with suppress(OSError):
        return service.ask("GET", "/readyz").status == 200
    return False
