"""System checks: a configuration mistake is found at start, with an id and what to do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.db import connections
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from outbox.conf import NAMES, outbox_settings

_NUMBERS = (
    "lease_seconds",
    "redispatch_seconds",
    "max_attempts",
    "max_in_flight",
    "history_days",
    "publish_seconds",
)


@register()
def database_is_postgresql(**_: Any) -> list[CheckMessage]:
    """The outbox's alias exists and is PostgreSQL."""
    alias = outbox_settings().database
    if alias not in settings.DATABASES:
        return [
            Error(
                f"OUTBOX['DATABASE'] is {alias!r}, which is not in DATABASES.",
                hint=f"Name one of: {', '.join(sorted(settings.DATABASES))}.",
                id="outbox.E001",
            )
        ]
    if connections[alias].vendor != "postgresql":
        return [
            Error(
                f"The outbox's database {alias!r} is {connections[alias].vendor}.",
                hint="Claims need PostgreSQL's SKIP LOCKED; point OUTBOX['DATABASE'] at one.",
                id="outbox.E002",
            )
        ]
    return []


@register()
def driver_is_psycopg2(**_: Any) -> list[CheckMessage]:
    """Django prefers psycopg 3 where both are installed, and the outbox speaks psycopg2."""
    if not is_psycopg3:
        return []
    return [
        Error(
            "Django uses psycopg 3, since it is installed beside psycopg2.",
            hint="Uninstall psycopg: notifications and error codes are read the psycopg2 way.",
            id="outbox.E007",
        )
    ]


@register()
def settings_are_known(**_: Any) -> list[CheckMessage]:
    """Every key of `settings.OUTBOX` is one of ours."""
    unknown = sorted(set(getattr(settings, "OUTBOX", {})) - NAMES)
    return [
        Error(
            f"OUTBOX has an unknown setting {name!r}.",
            hint=f"Known are: {', '.join(sorted(NAMES))}.",
            id="outbox.E003",
        )
        for name in unknown
    ]


@register()
def durations_fit(**_: Any) -> list[CheckMessage]:
    """Numbers are positive, and a batch is sent well within its lease."""
    conf = outbox_settings()
    found: list[CheckMessage] = [
        Error(
            f"OUTBOX[{name.upper()!r}] is {getattr(conf, name)!r}.",
            hint="Give a number above zero.",
            id="outbox.E004",
        )
        for name in _NUMBERS
        if not _is_positive(getattr(conf, name))
    ]
    if not found and conf.publish_seconds * 2 > conf.lease_seconds:
        found.append(
            Error(
                f"A batch may take {conf.publish_seconds} s to send, but its lease is only "
                f"{conf.lease_seconds} s.",
                hint="Make OUTBOX['LEASE_SECONDS'] at least twice OUTBOX['PUBLISH_SECONDS'], or "
                "a slow broker makes two relays send the same messages.",
                id="outbox.E005",
            )
        )
    return found


@register()
def lists_are_lists(**_: Any) -> list[CheckMessage]:
    """A text where a list belongs would be taken letter by letter."""
    conf = outbox_settings()
    return [
        Error(
            f"OUTBOX[{name.upper()!r}] is {getattr(conf, name)!r}.",
            hint="Give a list of texts.",
            id="outbox.E006",
        )
        for name in ("tasks", "replica_models")
        if not isinstance(getattr(conf, name), tuple)
        or not all(isinstance(item, str) and item for item in getattr(conf, name))
    ]


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
