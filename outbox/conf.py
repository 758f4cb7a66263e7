"""The outbox's settings, `settings.OUTBOX`, as one typed object."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from django.conf import settings


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """`settings.OUTBOX` with its defaults. Durations are in seconds."""

    database: str = "default"
    """The one database alias that holds the outbox and the models it is written beside."""
    lease_seconds: int = 60
    """How long a claim belongs to the process that made it."""
    redispatch_seconds: int = 300
    """A dispatched message without a receipt is sent again after this time; the wait doubles."""
    max_attempts: int = 10
    """Tries of one step before a message is dead, unless its task says otherwise."""
    max_in_flight: int = 10_000
    """Dispatched messages per Celery queue; beyond it the backlog waits in the table."""
    history_days: int = 14
    """Days that a done message stays in the history."""
    publish_seconds: float = 5.0
    """Deadline of one batch sent to the broker, connecting included."""
    tasks: tuple[str, ...] = ()
    """Prefixes of task names that the relay publishes besides the registered ones."""
    replica: str | None = None
    """The alias of the read replica, if there is one."""
    replica_models: tuple[str, ...] = ()
    """Labels of the models that a web request may read from the replica."""
    replica_guard: str = "count"
    """What a forbidden read of the replica does: `raise` or `count`."""


NAMES: frozenset[str] = frozenset(field.name.upper() for field in fields(OutboxSettings))


def outbox_settings() -> OutboxSettings:
    """Read `settings.OUTBOX`; unknown names are left to the system check, which names them."""
    given: dict[str, Any] = getattr(settings, "OUTBOX", {})
    known: dict[str, Any] = {
        name.lower(): tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
        if name in NAMES
    }
    return OutboxSettings(**known)
