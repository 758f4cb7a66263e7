"""A stall planted in the database: every claim waits in it, alive and without progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.promises.counted_effects import query
from tests.waiting import eventually

_KEY = 20_260_811
_PLANT = f"""
CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared({_KEY});
    RETURN NULL;
END $$;
CREATE TRIGGER stall AFTER UPDATE ON outbox_message FOR EACH ROW
    WHEN (NEW.lease_token IS NOT NULL) EXECUTE FUNCTION stall();
SELECT pg_advisory_lock({_KEY});
"""
_STALLED = (
    f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {_KEY} AND NOT granted"
)


@contextmanager
def stalled_claims() -> Iterator[None]:
    """Hold every claim before its commit for as long as the block lasts."""
    query(_PLANT)
    try:
        yield
    finally:
        query(f"SELECT pg_advisory_unlock({_KEY})")
        # Waits for the transactions that have just gone on.
        query("DROP TRIGGER stall ON outbox_message; DROP FUNCTION stall()")


def wait_for_a_stalled_claim(deadline: float = 30.0) -> None:
    """Wait until a session stands in the stall."""
    eventually(lambda: query(_STALLED), deadline)
