"""What the database itself sees of claims: a ledger of them."""

from __future__ import annotations

from deploy.devstack.process import Process
from tests.promises.siblings import with_options
from tests.sql import query

# Every change of a lease token, by who makes it: the process that is `named`, which may have
# several sessions, or else the session.
LEDGER = """
CREATE TABLE claim_ledger (
    id uuid, old_token uuid, new_token uuid, state text, lease_end timestamptz,
    at timestamptz DEFAULT clock_timestamp(),
    who text DEFAULT coalesce(current_setting('claims.who', true), pg_backend_pid()::text),
    process text DEFAULT current_setting('application_name')
);
CREATE FUNCTION note_claim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO claim_ledger (id, old_token, new_token, state, lease_end)
    VALUES (OLD.id, OLD.lease_token, NEW.lease_token, OLD.state, OLD.due_at);
    RETURN NULL;
END $$;
CREATE TRIGGER note_claim AFTER UPDATE ON outbox_message FOR EACH ROW
    WHEN (OLD.lease_token IS DISTINCT FROM NEW.lease_token) EXECUTE FUNCTION note_claim();
"""
NO_LEDGER = """
DROP TRIGGER note_claim ON outbox_message; DROP FUNCTION note_claim(); DROP TABLE claim_ledger;
"""

# A row was claimed while the lease of an earlier claim ran.
OVERLAPPING = """
SELECT * FROM claim_ledger
WHERE old_token IS NOT NULL AND new_token IS NOT NULL AND at < lease_end
"""
# A claim was ended, by a mark or by giving it back, by somebody else than who had made it. A worker
# may: it holds the row.
FOREIGN_ENDS = """
SELECT ended.* FROM claim_ledger AS ended
LEFT JOIN claim_ledger AS made ON (made.id, made.new_token) = (ended.id, ended.old_token)
WHERE ended.new_token IS NULL AND ended.process <> 'pillarbox worker'
  AND made.who IS DISTINCT FROM ended.who
"""


def named(process: Process, name: str) -> dict[str, str]:
    """The variable that has the ledger know a process by its name."""
    return with_options(process.env, f"-c%20claims.who%3D{name}")


def claimants() -> dict[str, int]:
    """How many of each kind of process have claimed something."""
    return dict(
        query(
            "SELECT process, count(DISTINCT who) FROM claim_ledger"
            " WHERE new_token IS NOT NULL GROUP BY process"
        )
    )
