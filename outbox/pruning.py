"""Old rows leave a table in small batches, so that nobody has to wait for them."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from django.db import connections

from outbox.brief import brief
from outbox.conf import outbox_settings
from outbox.database import run

if TYPE_CHECKING:
    from datetime import datetime, timedelta

logger = logging.getLogger(__name__)

BATCH = 5000
LIMIT_SECONDS = 60.0
"""A run ends after so long; the next one goes on where it ended."""
# Only a change of the table itself can make a batch wait: rows that others hold are skipped.
LOCK_TIMEOUT = "2s"
STATEMENT_TIMEOUT = "30s"

# From where the last batch ended: the index still names its rows until a vacuum, and as long as an
# old transaction is open each batch would step over all that went before it.
DELETE_BATCH = """
WITH removed AS (
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {table} WHERE {column} >= %(since)s AND {column} < %(before)s
        ORDER BY {column} LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
    RETURNING {column})
SELECT count(*), max({column}) FROM removed
"""

_HAS_PARTS = "SELECT 1 FROM pg_inherits WHERE inhparent = %(table)s::regclass LIMIT 1"


def prune(table: str, column: str, *, older_than: timedelta) -> int:
    """Delete the rows whose time in `column` is further back than that; return how many.

    Works on the outbox's database, by its clock, and outside a transaction: each batch commits by
    itself. The column needs an index. It ends after a minute, done or not.
    Raises Django's `DatabaseError`; the batches before have been deleted then. Raises ValueError
    for a table in partitions: those are dropped, or pruned one by one.
    """
    [[before]] = run("SELECT now() - %(age)s", age=older_than)
    return prune_before(table, column, before)


def prune_before(table: str, column: str, before: datetime | str) -> int:
    """The same for the rows whose time is before `before`."""
    if run(_HAS_PARTS, table=_quoted(table)):
        # A ctid names a row of one table: in another partition it is another row.
        raise ValueError(
            f"{table} has partitions: outbox.prune deletes from plain tables alone. Drop the old"
            " partitions, or prune each by its own name."
        )
    statement = _statement(table, column)
    end = time.monotonic() + LIMIT_SECONDS
    total: int = 0
    since: datetime | str = "-infinity"
    while True:
        with brief(lock=LOCK_TIMEOUT, statement=STATEMENT_TIMEOUT):
            [[removed, newest]] = run(statement, since=since, before=before, limit=BATCH)
        total += removed
        if removed < BATCH:
            return total
        since = newest
        if time.monotonic() > end:
            logger.info("outbox.prune: %s has more old rows, for the next run", table)
            return total


def _statement(table: str, column: str) -> str:
    return DELETE_BATCH.format(table=_quoted(table), column=_quoted(column))


def _quoted(name: str) -> str:
    return connections[outbox_settings().database].ops.quote_name(name)
