"""The statements with which `outbox.store` claims and writes.

Claims share one shape: pick rows in a MATERIALIZED CTE, then update them. Without the CTE the
planner may run a subquery with a LIMIT again and update more rows than were asked for. The update
finds them by an array of their keys: it cannot guess how many a CTE picks, and would read the
whole table to join with it. States are literals: passed as a parameter, a state loses the partial
index under a generic plan. The clock is the database's: `now()` in claims, `clock_timestamp()`
inside a task, whose transaction may have begun long ago.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from outbox.watermark import FROM_MARK

Run = Callable[[str, Mapping[str, Any]], list[tuple[Any, ...]]]
"""Runs one statement with its parameters and returns its rows."""

COLUMNS = "id, event_type, task, queue, attempts, sends, lease_token"

_CLAIM = """
WITH due AS MATERIALIZED (
    {pick}
), claimed AS (
    UPDATE outbox_message AS m
    SET lease_token = %(token)s, suspect = true, attempts = m.attempts + 1,
        sends = m.sends + {sends}, started_at = NULL,
        due_at = now() + make_interval(secs => %(lease)s)
    WHERE m.id = ANY (ARRAY(SELECT id FROM due))
    RETURNING m.*
)
SELECT id, event_type, task, queue, attempts, sends, {payload}, date_part('epoch', due.due_at)
FROM claimed JOIN due USING (id) ORDER BY received_at, due.due_at
"""

_LOCK = "FOR NO KEY UPDATE SKIP LOCKED"


def _claim_pending(pick: str) -> str:
    return _CLAIM.format(pick=pick, sends=0, payload="payload")


def _claim_to_send(pick: str) -> str:
    # The relay has no use for payloads, which may be large: the worker reads them from the row.
    return _CLAIM.format(pick=pick, sends=1, payload="'{}'")


CLAIM_PENDING = _claim_pending(f"""
    SELECT id, due_at FROM outbox_message
    WHERE state = 'pending' AND NOT suspect AND due_at <= now()
      AND due_at >= {FROM_MARK.format(mark="%(mark)s")}
      AND event_type = ANY(%(event_types)s)
    ORDER BY due_at LIMIT %(limit)s {_LOCK}""")

CLAIM_PENDING_SUSPECT = _claim_pending(f"""
    SELECT id, due_at FROM outbox_message
    WHERE state = 'pending' AND suspect AND due_at <= now()
      AND event_type = ANY(%(event_types)s)
    ORDER BY due_at LIMIT 1 {_LOCK}""")

# A list of queues with the room that each has left in its window: one without room is never
# scanned, so that its backlog costs the others nothing. Both ends are compared as the rows of the
# index: of two bounds on the time alone the planner believes that they leave few rows, and sorts.
CLAIM_READY = _claim_to_send(f"""
    SELECT picked.id, picked.due_at
    FROM unnest(%(queues)s::text[], %(rooms)s::int[], %(marks)s::float8[])
        AS open (queue, room, mark)
    CROSS JOIN LATERAL (
        SELECT id, due_at FROM outbox_message AS r
        WHERE r.state = 'ready' AND NOT r.suspect
          AND (r.queue, r.due_at) >= (open.queue, {FROM_MARK.format(mark="open.mark")})
          AND (r.queue, r.due_at) <= (open.queue, now())
          AND (r.task = ANY(%(tasks)s) OR r.task LIKE ANY(%(prefixes)s))
        ORDER BY r.queue, r.due_at LIMIT open.room {_LOCK}) AS picked""")

# The receipt did not come in time. The row stays dispatched: it never left the window.
CLAIM_OVERDUE = _claim_to_send(f"""
    SELECT picked.id, picked.due_at
    FROM unnest(%(queues)s::text[], %(marks)s::float8[]) AS open (queue, mark)
    CROSS JOIN LATERAL (
        SELECT id, due_at FROM outbox_message AS d
        WHERE d.state = 'dispatched' AND NOT d.suspect
          AND (d.queue, d.due_at) >= (open.queue, {FROM_MARK.format(mark="open.mark")})
          AND (d.queue, d.due_at) <= (open.queue, now())
          AND (d.task = ANY(%(tasks)s) OR d.task LIKE ANY(%(prefixes)s))
        ORDER BY d.queue, d.due_at LIMIT %(limit)s {_LOCK}) AS picked""")

CLAIM_UNSENT_SUSPECT = _claim_to_send(f"""
    SELECT id, due_at FROM outbox_message
    WHERE state IN ('ready', 'dispatched') AND suspect AND due_at <= now()
      AND due_at >= {FROM_MARK.format(mark="%(mark)s")}
      AND (state = 'dispatched' OR queue = ANY(%(queues)s))
      AND (task = ANY(%(tasks)s) OR task LIKE ANY(%(prefixes)s))
    ORDER BY due_at LIMIT 1 {_LOCK}""")

ADD = """
INSERT INTO outbox_message (id, event_type, task, queue, payload, state, ready_at)
SELECT new.id, %(event_type)s, %(task)s, %(queue)s, new.payload::jsonb, %(state)s,
       CASE WHEN %(state)s = 'ready' THEN statement_timestamp() END
FROM unnest(%(ids)s::uuid[], %(payloads)s::text[]) AS new (id, payload)
"""

ADD_ACCEPTED = """
WITH {accept}, added AS (
    INSERT INTO outbox_message (id, event_type, task, queue, payload, state, ready_at)
    SELECT new.id, new.event_type, new.task, new.queue, new.payload::jsonb, new.state,
           CASE WHEN new.state = 'ready' THEN statement_timestamp() END
    FROM unnest(%(id)s::uuid[], %(event_type)s::text[], %(task)s::text[], %(queue)s::text[],
                %(payload)s::text[], %(state)s::text[])
        AS new (id, event_type, task, queue, payload, state)
    JOIN accepted ON accepted.message_id = new.id
)
SELECT message_id FROM accepted
"""

# Those of a batch that are not ours any more: in good days none, so that no row comes back.
_LOST = """
SELECT wanted.id FROM unnest(%(ids)s::uuid[]) AS wanted (id)
WHERE NOT EXISTS (SELECT FROM won WHERE won.id = wanted.id)
"""

HOLD = f"""
SET LOCAL lock_timeout TO %(patience)s;
WITH won AS MATERIALIZED (
    SELECT id FROM outbox_message
    WHERE id = ANY(%(ids)s) AND lease_token = %(token)s AND state = 'pending'
    ORDER BY id FOR NO KEY UPDATE
)
{_LOST}"""

MARK_READY = f"""
WITH won AS (
    UPDATE outbox_message
    SET state = 'ready', ready_at = clock_timestamp(), due_at = now(), attempts = 0, sends = 0,
        lease_token = NULL, suspect = false, last_error = ''
    WHERE id = ANY(%(ids)s) AND lease_token = %(token)s AND state = 'pending'
    RETURNING id
)
{_LOST}"""

# Rows locked by a worker are skipped: it is about to move or to reschedule them, and the mark
# would wait for its whole run. The time until the next sending doubles, up to an hour.
MARK_DISPATCHED = f"""
WITH sent AS MATERIALIZED (
    SELECT id FROM outbox_message
    WHERE id = ANY(%(ids)s) AND lease_token = %(token)s AND state IN ('ready', 'dispatched')
      AND started_at IS NULL
    FOR NO KEY UPDATE SKIP LOCKED
), won AS (
    UPDATE outbox_message
    SET state = 'dispatched', dispatched_at = coalesce(dispatched_at, now()),
        attempts = attempts - 1, lease_token = NULL, suspect = false,
        due_at = now() + least(interval '1 hour', greatest(
            make_interval(secs => %(redispatch)s), now() - coalesce(dispatched_at, now())))
    WHERE id = ANY (ARRAY(SELECT id FROM sent))
    RETURNING id
)
{_LOST}"""

# A copy that the broker took before it went away may be running: its worker settles the row, and
# the relay would wait for the whole run. No task runs on a pending row: whoever holds it is brief.
RELEASE = """
WITH unprepared AS MATERIALIZED (
    SELECT id FROM outbox_message
    WHERE id = ANY(%(ids)s) AND lease_token = %(token)s AND state = 'pending'
    FOR NO KEY UPDATE
), unsent AS MATERIALIZED (
    SELECT id FROM outbox_message
    WHERE id = ANY(%(ids)s) AND lease_token = %(token)s AND state IN ('ready', 'dispatched')
      AND started_at IS NULL
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE outbox_message
SET lease_token = NULL, suspect = %(suspect)s, attempts = attempts - 1,
    sends = sends - %(unsent)s::int,
    due_at = now() + make_interval(secs => %(delay)s)
WHERE id = ANY (ARRAY(SELECT id FROM unprepared UNION ALL SELECT id FROM unsent))
RETURNING id
"""

# Skips a row that a worker has locked, as the mark does and for the same reason.
FAIL = """
WITH mine AS MATERIALIZED (
    SELECT id FROM outbox_message
    WHERE id = %(id)s AND lease_token = %(token)s AND state IN ('pending', 'ready', 'dispatched')
      AND started_at IS NULL
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE outbox_message
SET state = CASE WHEN attempts >= %(max_attempts)s THEN 'dead'
                 WHEN state = 'dispatched' THEN 'ready' ELSE state END,
    suspect = attempts < %(max_attempts)s,
    lease_token = NULL, last_error = %(error)s,
    due_at = now() + make_interval(secs => %(delay)s)
WHERE id = ANY (ARRAY(SELECT id FROM mine))
RETURNING state
"""

REQUEUE = """
UPDATE outbox_message
SET state = CASE WHEN ready_at IS NULL THEN 'pending' ELSE 'ready' END,
    attempts = 0, sends = 0, due_at = now(), dispatched_at = NULL
WHERE id = ANY(%(ids)s) AND state = 'dead'
RETURNING id
"""
