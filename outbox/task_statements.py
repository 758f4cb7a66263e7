"""The statements that a worker runs on its message, under the row lock that is its claim."""

from __future__ import annotations

from outbox.statements import COLUMNS

# `stale`: a retry waits, and this is an old copy that the broker still had.
# `running`: a worker runs it without a transaction, under a lease of its own.
# `wordless`: a try was begun and counted, and neither its end nor a later sending is written. One
# with a lease of its own is not: there the lease keeps copies away for a while.
_LOCK = f"""
SELECT {COLUMNS}, payload, state,
       state = 'ready' AND lease_token IS NULL AND due_at > clock_timestamp() AS stale,
       started_at IS NOT NULL AND due_at > clock_timestamp() AS running,
       state = 'dispatched' AND suspect AND attempts > 0 AND lease_token IS NULL AS wordless,
       clock_timestamp()
FROM outbox_message WHERE id = %(id)s FOR UPDATE
"""

# Of a row that is locked nothing is seen, as of one that is gone.
LOCK_FREE = f"{_LOCK.rstrip()} SKIP LOCKED"
# Two statements and one round trip: claims and marks hold the row for a moment too, so the worker
# waits for it, but not for another worker's whole run.
LOCK = f"SET LOCAL lock_timeout TO %(patience)s; {_LOCK}"

# A try that a worker began. While the relay's claim is still on the row, that claim has counted
# this try already; the worker takes the row over, so that the relay's late mark loses. It is a
# suspect until its end is written.
BEGIN_TRY = """
UPDATE outbox_message
SET state = 'dispatched', dispatched_at = coalesce(dispatched_at, clock_timestamp()),
    attempts = attempts + (lease_token IS NULL OR started_at IS NOT NULL)::int,
    lease_token = %(token)s::uuid, suspect = true,
    started_at = CASE WHEN %(token)s::uuid IS NOT NULL THEN clock_timestamp() END,
    due_at = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE id = %(id)s AND state IN ('ready', 'dispatched')
RETURNING attempts
"""

# A try that was lost with its connection. If it ended after all, or somebody has taken the message
# since, there is no such row: BEGIN_TRY leaves a suspect, the mark leaves it dispatched, and who
# ends a try or gives it back changes that.
_AS_LEFT = """
    id = %(id)s AND state IN ('ready', 'dispatched') AND attempts = %(attempts)s
    AND sends = %(sends)s AND lease_token IS NOT DISTINCT FROM %(lease_token)s::uuid
    AND CASE WHEN %(counted)s THEN suspect ELSE state = 'dispatched' END
"""
AS_LEFT = f"SELECT id FROM outbox_message WHERE {_AS_LEFT}"
GIVE_BACK = f"""
WITH mine AS MATERIALIZED (
    SELECT id, CASE WHEN last_error LIKE %(word)s THEN attempts + (NOT %(counted)s)::int
                    ELSE attempts - %(counted)s::int END AS n,
           last_error LIKE %(word)s AS again
    FROM outbox_message
    WHERE {_AS_LEFT}
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE outbox_message AS m
SET state = CASE WHEN mine.again AND mine.n >= %(limit)s THEN 'dead' ELSE 'ready' END,
    attempts = mine.n, lease_token = NULL, suspect = false, started_at = NULL,
    dispatched_at = NULL, last_error = %(error)s,
    due_at = clock_timestamp() + make_interval(secs => %(delay)s)
FROM mine
WHERE m.id = mine.id AND m.id = %(id)s
RETURNING m.state
"""

# `counted`: BEGIN_TRY has counted this try. If not, the relay's claim has, while it lasts.
FAIL_TRY = """
UPDATE outbox_message
SET state = CASE WHEN tried.n >= %(max_attempts)s THEN 'dead' ELSE 'ready' END,
    attempts = tried.n, lease_token = NULL, suspect = false, started_at = NULL,
    dispatched_at = NULL, last_error = %(error)s,
    due_at = clock_timestamp() + make_interval(secs => %(delay)s)
FROM (SELECT id AS tried_id,
             attempts + (NOT %(counted)s AND lease_token IS NULL)::int AS n
      FROM outbox_message WHERE id = %(id)s) AS tried
WHERE id = tried_id AND state IN ('ready', 'dispatched')
  AND (%(token)s::uuid IS NULL OR lease_token = %(token)s::uuid)
RETURNING state
"""

# One statement moves the row, so that it is always in exactly one of the two tables. The try that
# ended well is taken off the count, whoever has counted it: the relay's claim or BEGIN_TRY.
COMPLETE = """
WITH done AS (
    DELETE FROM outbox_message
    WHERE id = %(id)s AND state IN ('ready', 'dispatched')
      AND (%(token)s::uuid IS NULL OR lease_token = %(token)s::uuid)
    RETURNING *
)
INSERT INTO outbox_history (id, event_type, task, queue, attempts, sends,
                            received_at, ready_at, dispatched_at, done_at)
SELECT id, event_type, task, queue,
       greatest(0, attempts - (%(counted)s OR lease_token IS NOT NULL)::int),
       sends, received_at, ready_at, coalesce(dispatched_at, %(taken_at)s), clock_timestamp()
FROM done
RETURNING id
"""
