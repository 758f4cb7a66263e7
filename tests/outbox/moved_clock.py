"""The database's clock, moved for one session at a time.

A schema ahead of the system's own has functions of the same names. What calls them by name, as
every statement of the store does, reads a clock that is ahead by the setting `test.ahead`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.sql import query

SCHEMA = """
CREATE SCHEMA moved;
CREATE FUNCTION moved.ahead() RETURNS interval STABLE LANGUAGE sql
    AS $$ SELECT coalesce(nullif(current_setting('test.ahead', true), ''), '0')::interval $$;
CREATE FUNCTION moved.now() RETURNS timestamptz STABLE LANGUAGE sql
    AS $$ SELECT pg_catalog.now() + moved.ahead() $$;
CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql
    AS $$ SELECT pg_catalog.clock_timestamp() + moved.ahead() $$;
"""


@contextmanager
def movable_clock() -> Iterator[None]:
    """Let `set_clock` move the clock of this thread's session until the block ends."""
    query(SCHEMA)
    query("SET search_path TO public, moved, pg_catalog")
    try:
        yield
    finally:
        query("RESET search_path")
        query("SELECT set_config('test.ahead', '', false)")
        query("DROP SCHEMA moved CASCADE")


def set_clock(moment: str) -> None:
    """Make it the moment given, "2030-05-01 23:59:59+00"; it goes on from there."""
    query(
        "SELECT set_config('test.ahead',"
        " (%s::timestamptz - pg_catalog.clock_timestamp())::text, false)",
        moment,
    )
