"""Gates in the database: whoever comes to one that a test holds waits until it is let go.

A gate is an advisory lock: held by the test, and taken for a moment, shared, by a trigger within
the transaction that is to be caught there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.sql import query
from tests.waiting import eventually

EFFECT_KEY = 20_260_301
"""Of the gate behind each effect that is counted; its trigger is that of the count."""

AT_THE_GATE = """
SELECT pid FROM pg_locks
WHERE locktype = 'advisory' AND objid = %(key)s AND NOT granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate behind a change of a table's rows: `event` is the trigger's, with its condition."""

    name: str
    key: int
    event: str
    table: str
    condition: str = "true"

    def plant(self) -> None:
        query(
            f"CREATE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" BEGIN PERFORM pg_advisory_xact_lock_shared({self.key}); RETURN NULL; END $$;"
            f"CREATE TRIGGER {self.name} AFTER {self.event} ON {self.table} FOR EACH ROW"
            f" WHEN ({self.condition}) EXECUTE FUNCTION {self.name}()"
        )

    def remove(self) -> None:
        # Waits for the transactions that have just gone on.
        query(f"DROP TRIGGER {self.name} ON {self.table}; DROP FUNCTION {self.name}()")


# Holds a claim before its commit, and nothing else: no mark and no giving back sets a token.
CLAIM = Gate(
    "wait_with_a_claim",
    20_260_302,
    "UPDATE",
    "outbox_message",
    "NEW.lease_token IS NOT NULL AND OLD.lease_token IS DISTINCT FROM NEW.lease_token",
)
FILL = Gate("wait_to_fill", 20_260_303, "UPDATE OF title", "app_post")


@contextmanager
def closed(key: int) -> Iterator[None]:
    """Hold a gate: who comes to it waits until the block ends."""
    query("SELECT pg_advisory_lock(%s)", key)
    try:
        yield
    finally:
        query("SELECT pg_advisory_unlock(%s)", key)


def sessions_at(key: int) -> list[int]:
    """The pids of the backends that stand at the gate."""
    return [pid for (pid,) in query(AT_THE_GATE, key=key)]


def wait_for_sessions_at(key: int, number: int = 1, deadline: float = 30.0) -> list[int]:
    """Wait until so many sessions stand at the gate; the pids of their backends."""

    def standing() -> list[int]:
        found = sessions_at(key)
        return found if len(found) == number else []

    return eventually(standing, deadline)
