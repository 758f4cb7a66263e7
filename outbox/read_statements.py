"""The statements that only read: what is due, what is in flight, how much waits."""

from __future__ import annotations

# In the order of the index: EXISTS would ignore the order, and then read the table for the first
# that is due, if it believes that many are.
ANY_DUE_PENDING = """
SELECT (SELECT true FROM outbox_message
        WHERE state = 'pending' AND NOT suspect AND due_at <= now()
        ORDER BY due_at LIMIT 1) IS NOT NULL,
       EXISTS (SELECT FROM outbox_message
               WHERE state = 'pending' AND suspect AND due_at <= now())
"""

# What is dispatched, or a suspect, becomes due long after it was written: a look that found none
# can be gone on from. Ten seconds are more than any of these transactions takes to commit.
ANY_DUE_TO_SEND = """
SELECT %(ready)s OR (SELECT true FROM outbox_message
        WHERE state = 'ready' AND NOT suspect AND due_at <= now()
        ORDER BY queue, due_at LIMIT 1) IS NOT NULL,
       (SELECT true FROM outbox_message
        WHERE state = 'dispatched' AND NOT suspect AND due_at <= now()
          AND due_at >= to_timestamp(%(since)s) - interval '10 seconds'
        ORDER BY queue, due_at LIMIT 1) IS NOT NULL,
       EXISTS (SELECT FROM outbox_message
               WHERE state IN ('ready', 'dispatched') AND suspect AND due_at <= now()
                 AND due_at >= to_timestamp(%(since)s) - interval '10 seconds'),
       date_part('epoch', now())
"""

# A loose index scan: one index probe per queue that has ready rows, however many rows there are.
# Suspects are few, and have no index by queue.
READY_QUEUES = """
WITH RECURSIVE found AS (
    (SELECT queue FROM outbox_message
     WHERE state = 'ready' AND NOT suspect
       AND due_at >= to_timestamp(%(since)s) - interval '10 seconds'
     ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT queue FROM outbox_message
            WHERE state = 'ready' AND NOT suspect AND queue > found.queue
              AND due_at >= to_timestamp(%(since)s) - interval '10 seconds'
            ORDER BY queue LIMIT 1)
    FROM found WHERE found.queue IS NOT NULL
)
SELECT queue, date_part('epoch', now()) FROM found WHERE queue IS NOT NULL
UNION
SELECT queue, date_part('epoch', now()) FROM outbox_message
WHERE state = 'ready' AND suspect AND due_at >= to_timestamp(%(since)s) - interval '10 seconds'
"""

# A message of a transaction that took longer than this to commit is not seen by a look from a mark.
_MARK = "least(to_timestamp(%(mark)s), now() - interval '10 seconds')"

# What waits to be prepared or sent, up to a limit: a backlog of millions costs no more to count
# than the limit, each part read in the order of an index that holds nothing else. And how late the
# oldest message is that waits to be prepared: none that failed before or is being prepared, and
# none of a type that only another version knows, since such wait by themselves. No more than the
# thousand oldest are looked at, whose types only the table has: behind so many of another version's
# nothing counts as late, and they close the door by their number alone. Those that are ready are
# not looked at: a queue without workers is no reason to refuse what goes to the others.
WAITING = f"""
SELECT found.number AS waiting, found.oldest,
       (SELECT extract(epoch FROM now() - due_at)::float8 FROM (
            SELECT due_at, event_type FROM outbox_message
            WHERE state = 'pending' AND NOT suspect AND due_at <= now() AND due_at >= {_MARK}
            ORDER BY due_at LIMIT 1000) AS oldest
        WHERE event_type = ANY(%(event_types)s)
        ORDER BY due_at LIMIT 1),
       current_setting('transaction_read_only')::boolean
FROM (SELECT count(*) AS number, date_part('epoch', min(due_at)) AS oldest FROM (
          (SELECT due_at FROM outbox_message
           WHERE state = 'pending' AND NOT suspect AND due_at >= {_MARK}
           ORDER BY due_at LIMIT %(limit)s)
          UNION ALL
          (SELECT due_at FROM outbox_message
           WHERE state = 'ready' AND NOT suspect AND due_at >= {_MARK}
           ORDER BY queue, due_at LIMIT %(limit)s)
          UNION ALL
          (SELECT due_at FROM outbox_message
           WHERE state = 'pending' AND suspect AND due_at >= {_MARK}
           ORDER BY due_at LIMIT %(limit)s)
          UNION ALL
          (SELECT due_at FROM outbox_message
           WHERE state = 'ready' AND suspect AND due_at >= {_MARK}
           ORDER BY due_at LIMIT %(limit)s)
          LIMIT %(limit)s) AS each) AS found
"""

IN_FLIGHT = """
SELECT queue, count(*), date_part('epoch', min(due_at))
FROM outbox_message WHERE state = 'dispatched' GROUP BY queue
UNION ALL SELECT NULL, 0, date_part('epoch', now())
"""

# Those done meanwhile were dispatched before the others, most of them: without their dead entries.
IN_FLIGHT_SINCE = """
SELECT open.queue, (
    SELECT count(*) FROM outbox_message AS d
    WHERE d.state = 'dispatched' AND d.queue = open.queue AND d.due_at >= to_timestamp(open.mark))
FROM unnest(%(queues)s::text[], %(marks)s::float8[]) AS open (queue, mark)
"""

UNFINISHED_PENDING = """
SELECT count(*) FROM outbox_message
WHERE state = 'pending' AND (due_at <= now() OR lease_token IS NOT NULL)
"""

UNFINISHED_TO_SEND = """
SELECT count(*) FROM outbox_message
WHERE state IN ('ready', 'dispatched')
  AND (due_at <= now() OR (lease_token IS NOT NULL AND started_at IS NULL))
"""

COUNTS = """
SELECT state, count(*), extract(epoch FROM clock_timestamp() - min(received_at))::float8
FROM outbox_message GROUP BY state
"""

DONE_EXACT = "SELECT count(*) FROM outbox_history"

DONE_PARTITIONS = """
SELECT quote_ident(c.relname), c.reltuples::bigint,
       pg_relation_size(c.oid) / current_setting('block_size')::int
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'outbox_history'::regclass
"""

LOOK_UP_LIVE = """
SELECT id, event_type, state, attempts, received_at, ready_at, dispatched_at, NULL::timestamptz
FROM outbox_message WHERE id = %(id)s
"""

LOOK_UP_DONE = """
SELECT id, event_type, 'done', attempts, received_at, ready_at, dispatched_at, done_at
FROM outbox_history WHERE id = %(id)s
"""

DEAD_IDS = """
SELECT id FROM outbox_message WHERE state = 'dead' ORDER BY received_at
"""
