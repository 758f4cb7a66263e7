"""The one database that holds Posts, deliveries and messages, so that one commit covers them."""

from __future__ import annotations

from typing import Any

from django.db import connections

from outbox.conf import outbox_settings


def alias() -> str:
    """Its alias in `settings.DATABASES`: the outbox's own, always the primary."""
    return outbox_settings().database


def run(statement: str, **parameters: Any) -> list[Any]:
    """Run one statement there and return its rows."""
    with connections[alias()].cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []
