"""A gate in the database at which statements wait, however short their lock time-out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from django.db import connection

from tests.sql import query
from tests.waiting import eventually

KEY = 20_260_304

# It tries instead of waiting in a queue of locks: a web request would give up after a second.
FUNCTIONS = f"""
CREATE FUNCTION pass_gate() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WHILE NOT pg_try_advisory_xact_lock_shared({KEY}) LOOP PERFORM pg_sleep(0.01); END LOOP;
END $$;
CREATE FUNCTION gate_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pass_gate();
    RETURN NEW;
END $$;
"""
NO_FUNCTIONS = "DROP FUNCTION gate_trigger() CASCADE; DROP FUNCTION pass_gate()"

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %(name)s AND wait_event = 'PgSleep'
"""


class Gate:
    """Closed until `open()`; the test that left it closed opens it at its end."""

    def __init__(self) -> None:
        self._keeper = psycopg2.connect(**connection.get_connection_params())
        self._keeper.autocommit = True
        self._keeper.cursor().execute("SELECT pg_advisory_lock(%s)", [KEY])

    def wait_for(self, process: str, number: int = 1) -> None:
        """Wait until so many statements of a process are at the gate."""
        name = f"pillarbox {process}"
        eventually(lambda: query(WAITING, name=name)[0][0] == number, 30)

    def open(self) -> None:
        self._keeper.close()


@contextmanager
def closed_gate(*tables: str) -> Iterator[Gate]:
    """A closed gate before every insert into, and update of, the tables."""
    query(FUNCTIONS)
    for table in tables:
        query(
            f"CREATE TRIGGER gate BEFORE INSERT OR UPDATE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION gate_trigger()"
        )
    gate = Gate()
    try:
        yield gate
    finally:
        gate.open()
        query(NO_FUNCTIONS)
