"""Empties the database between tests, in a millisecond.

Django truncates every table and then writes its content types and permissions anew: new files for
each table and index, flushed to a disk that is as durable here as in production, a tenth of a
second and more for each test that commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.core.management.commands import flush
from django.db.backends.postgresql.operations import DatabaseOperations

# What migrations have written, and no test writes.
KEPT = ("django_content_type", "auth_permission")
# Deleted rows stay until a vacuum: a table that has grown by them is truncated after all.
SMALL_BYTES = 512 * 1024

_SIZES = """
SELECT table_name,
       coalesce((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(table_name::regclass)),
                pg_relation_size(table_name::regclass))
FROM unnest(%s::text[]) AS table_name
"""


def empty_quickly(patch: pytest.MonkeyPatch) -> None:
    """Have Django's `flush` delete the few rows there are."""
    patch.setattr(DatabaseOperations, "sql_flush", _sql_flush)
    patch.setattr(flush, "emit_post_migrate_signal", lambda *_, **__: None)


def _sql_flush(operations: Any, _style: Any, tables: Sequence[str], **_: Any) -> list[str]:
    names = [operations.quote_name(table) for table in tables if table not in KEPT]
    with operations.connection.cursor() as cursor:
        cursor.execute(_SIZES, [names])
        sizes = cursor.fetchall()
    return [
        "SET CONSTRAINTS ALL DEFERRED",
        # Waits for what a test has left unfinished, as TRUNCATE does: it would come after the end.
        f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE",
        *(
            f"TRUNCATE {name} CASCADE" if size > SMALL_BYTES else f"DELETE FROM {name}"
            for name, size in sizes
        ),
    ]
