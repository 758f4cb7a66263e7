"""Where the servers are, as the options of the command line say."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Addresses:
    """URLs of the servers that a peer works with."""

    database: str
    broker: str
    queue: str
    """The durable queue in which each message is to end."""
    stomp_port: int = 0

    @property
    def broker_parts(self) -> SplitResult:
        return urlsplit(self.broker)

    @property
    def django_database(self) -> dict[str, object]:
        """The value of `DATABASES["default"]`."""
        url = urlsplit(self.database)
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": url.path.lstrip("/"),
            "USER": url.username,
            "PASSWORD": unquote(url.password or ""),
            "HOST": url.hostname,
            "PORT": url.port,
        }
