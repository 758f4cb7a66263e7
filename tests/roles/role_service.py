"""The four processes of the service, each under the role that is made for it."""

from __future__ import annotations

import base64
import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import celery

from deploy.devstack import application
from tests.roles.role_database import RoleDatabase, environment_without_replica
from tests.service import Service, free_port
from tests.waiting import eventually


@contextmanager
def service_under_roles(roles: RoleDatabase, folder: Path, **environment: str) -> Iterator[Service]:
    """Start them and wait until deliveries are taken; stop them at the end."""
    port, secret = free_port(), "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    given = {
        **environment_without_replica(),
        "DJANGO_SETTINGS_MODULE": "settings.base",
        "WEB_CONCURRENCY": "1",
        **environment,
    }
    servers = {"CELERY_BROKER_URL": os.environ["CELERY_BROKER_URL"]}
    own = {"WEBHOOK_SECRETS": secret, "DJANGO_SECRET_KEY": secrets.token_urlsafe(50)}
    env = application.environment(servers, own, given)
    started = application.processes(port, folder, env)
    service = Service(port, secret, {process.name: process for process, _ in started})

    def ready() -> bool:
        for process, _ in started:
            assert process.poll() is None, process.complaint("ended")
        with suppress(OSError):
            return service.ask("GET", "/readyz").status == 200
        return False

    empty_the_queue()
    try:
        for process, _ in started:
            process.env = {**env, "DATABASE_URL": roles.url(f"pillarbox_{process.name}")}
            process.start()
        eventually(ready, 30)
        yield service
    finally:
        for process, _ in started:
            process.send(signal.SIGTERM)
        for process, patience in started:
            process.stop(patience)


def empty_the_queue() -> None:
    with celery.current_app.connection_for_write() as connection:
        queue = celery.current_app.amqp.queues["celery"](connection.default_channel)
        queue.declare()
        queue.purge()
