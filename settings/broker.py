"""The broker's URL, and what Celery must know besides for each kind of broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from kombu.transport import TRANSPORT_ALIASES

from settings import env

# Redis has no acknowledgements of its own: kombu hands a message out again that was not
# acknowledged for `visibility_timeout` seconds. That must be longer than the longest task, or one
# that still runs is started again; the outbox, which sends again after minutes, does not depend on
# it. By kombu's own interval and throttle it looks only every hundred seconds.
_REDIS_OPTIONS: Final = {
    "visibility_timeout": 3_600,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
}


@dataclass(frozen=True, slots=True)
class Broker:
    """How Celery reaches its broker."""

    url: str | None
    transport_options: dict[str, Any]
    broadcasts: bool = True
    """Whether `celery inspect` can reach the workers."""


def read() -> Broker:
    """Read `CELERY_BROKER_URL`, which a process that neither sends nor works may do without."""
    url = env.url("CELERY_BROKER_URL")
    if not url:
        return Broker(None, {})
    # "redis+socket://", "sqla+postgresql://": the transport's name comes first.
    scheme, separator, _ = url.partition("://")
    transport = scheme.partition("+")[0]
    if transport not in TRANSPORT_ALIASES or not separator:
        raise env.BadVariable(
            "CELERY_BROKER_URL must be a broker's URL, such as amqp://user:password@host:5672//,"
            " redis://host:6379/0 or filesystem:///folder."
        )
    if transport == "filesystem":
        return _filesystem(url)
    options = _REDIS_OPTIONS if transport in {"redis", "rediss", "sentinel"} else {}
    return Broker(url, dict(options))


def _filesystem(url: str) -> Broker:
    parts = urlsplit(url)
    folder = unquote(parts.path)
    if parts.netloc or len(folder) < 2:
        raise env.BadVariable(
            "CELERY_BROKER_URL must name a folder by its whole path: filesystem:///var/lib/broker."
        )
    options = {
        # One folder both ways: what one process puts in, another takes out.
        "data_folder_in": folder,
        "data_folder_out": folder,
        "control_folder": f"{folder}/control",
    }
    # A broadcast would leave a file for each worker that ever was, and none would read it.
    return Broker("filesystem://", options, broadcasts=False)
