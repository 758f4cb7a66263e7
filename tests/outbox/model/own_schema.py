"""Tables of the outbox in a schema of their own, under a clock that a test moves.

The schema stands ahead of the system's own, so that each statement of the product finds in it
copies of the tables, with all their constraints and indexes, and functions that tell the time.
The clock is a sequence: every session sees it move at once, and no rollback turns it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from tests.sql import query

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
"""The clock's zero."""

# `model.began` is set where a transaction is opened: there now() stands still.
# No two messages have one time of receipt, or are due at the same moment, if only by a microsecond:
# else it would depend on where their rows lie which of them a claim takes first.
_SCHEMA = f"""
CREATE SCHEMA model;
CREATE SEQUENCE model.clock MINVALUE 0 START 0;
CREATE FUNCTION model.clock_timestamp() RETURNS timestamptz VOLATILE LANGUAGE sql AS $$
    SELECT '{START}'::timestamptz + last_value * interval '1 second' FROM model.clock $$;
CREATE FUNCTION model.statement_timestamp() RETURNS timestamptz STABLE LANGUAGE sql AS $$
    SELECT '{START}'::timestamptz + last_value * interval '1 second' FROM model.clock $$;
CREATE FUNCTION model.now() RETURNS timestamptz STABLE LANGUAGE sql AS $$
    SELECT coalesce(nullif(current_setting('model.began', true), '')::timestamptz,
                    model.statement_timestamp()) $$;
CREATE SEQUENCE model.number MINVALUE 0 START 0;
CREATE FUNCTION model.set_apart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.received_at := NEW.received_at + nextval('model.number') * interval '1 microsecond';
    END IF;
    NEW.due_at := to_timestamp(round(extract(epoch FROM NEW.due_at)) - 0.4)
                  + (NEW.received_at - date_trunc('second', NEW.received_at));
    RETURN NEW;
END $$;
CREATE TABLE model.outbox_message (LIKE public.outbox_message INCLUDING ALL);
ALTER TABLE model.outbox_message
    ALTER due_at SET DEFAULT model.statement_timestamp(),
    ALTER received_at SET DEFAULT model.statement_timestamp();
CREATE TRIGGER set_apart BEFORE INSERT OR UPDATE OF due_at ON model.outbox_message
    FOR EACH ROW EXECUTE FUNCTION model.set_apart();
CREATE TABLE model.outbox_history (LIKE public.outbox_history INCLUDING ALL)
    PARTITION BY RANGE (done_at);
CREATE TABLE model.outbox_history_default PARTITION OF model.outbox_history DEFAULT
"""
ENTER = """
SET search_path TO model, pg_catalog, public;
SET synchronous_commit TO off;
SET lock_timeout TO '2s'
"""
"""For a session that is to live there: what has to wait for another fails, since nobody goes on."""
BEGIN = "SELECT set_config('model.began', model.statement_timestamp()::text, true)"

FORGET = """
DELETE FROM model.outbox_message; DELETE FROM model.outbox_history; SELECT setval('model.number', 0)
"""
SET_CLOCK = "SELECT setval('model.clock', %s)"


@contextmanager
def own_schema() -> Iterator[None]:
    """Make the schema, and drop it with all that is in it."""
    query(_SCHEMA)
    try:
        yield
    finally:
        query("DROP SCHEMA model CASCADE")
