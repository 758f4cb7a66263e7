"""Statements on the outbox's database, inside a transaction or as one of their own."""

from __future__ import annotations

from typing import Any

from django.db import connections

from outbox.conf import outbox_settings

# Of the statement's own transaction, and of nothing after it: several statements that are sent
# together are one, behind a pooler too.
# - What a crash of the server then takes back is a claim, or what became of it: the message is due
#   again, and whoever worked it meanwhile has left its receipt, or loses by the lease.
# - Statistics of a queue are those of another moment: taken while nothing was ready, they let the
#   planner read all that is ready now and sort it, in each claim anew. The index has the order.
_ALONE = "SET LOCAL synchronous_commit TO off; SET LOCAL enable_sort TO off; "


def run(statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Run one statement on the outbox's database and return its rows."""
    with connections[outbox_settings().database].cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def run_alone(statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """The same for one that may be lost in a crash of the server: its commit waits for no disk.

    Inside a transaction it commits with the rest of it, and as that does.
    """
    connection = connections[outbox_settings().database]
    if connection.in_atomic_block or not connection.get_autocommit():
        return run(statement, **parameters)
    return run(_ALONE + statement, **parameters)
