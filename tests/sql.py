"""SQL on the test database, through the connection of the test's thread."""

from __future__ import annotations

from typing import Any

from django.db import connection


def query(sql: str, *values: Any, **named: Any) -> list[tuple[Any, ...]]:
    """Execute, with values for `%s` or for `%(name)s`; the rows, if the statement gives any."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values or named or None)
        return cursor.fetchall() if cursor.description else []


def count(source: str) -> int:
    """How many rows there are: `source` is what follows FROM."""
    number: int = query(f"SELECT count(*) FROM {source}")[0][0]
    return number
