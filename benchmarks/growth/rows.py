"""Rows as the service leaves them, made by the hundred thousand in a few statements."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from outbox.partitions import name_of

RETENTION_DAYS = 14
"""What OUTBOX_HISTORY_DAYS is by default: the history lies in as many partitions."""
FLOW = 500
"""Messages a second that come in while a transaction holds the horizon."""

# As `enqueue` writes it where nothing has to be prepared. The payload is that of a Post whose body
# has 440 bytes.
READY = """
INSERT INTO outbox_message (id, event_type, task, queue, payload, state, ready_at)
SELECT gen_random_uuid(), 'post.created', 'app.tasks.index_post', %(queue)s,
       jsonb_build_object('source_id', 'post-' || n, 'title', 'A title',
                          'body', repeat('A body. ', 55)),
       'ready', statement_timestamp()
FROM generate_series(1, %(rows)s) AS n
"""

# What a worker does at the end of a task, for all that were sent.
FINISH = """
WITH done AS (
    DELETE FROM outbox_message
    WHERE state = 'dispatched' AND NOT suspect AND queue = %(queue)s
    RETURNING *
)
INSERT INTO outbox_history (id, event_type, task, queue, attempts, sends,
                            received_at, ready_at, dispatched_at, done_at)
SELECT id, event_type, task, queue, attempts, sends,
       received_at, ready_at, dispatched_at, clock_timestamp()
FROM done
"""

# A message's whole way from ready on, for many at once and dated back: evenly over the last
# %(seconds)s seconds, with the leases and the times for the receipt that they would have got.
LIVES = (
    """
    INSERT INTO outbox_message (id, event_type, task, queue, payload, state,
                                received_at, ready_at, due_at)
    SELECT gen_random_uuid(), 'post.created', 'app.tasks.index_post', %(queue)s,
           jsonb_build_object('source_id', 'post-' || n, 'title', 'A title',
                              'body', repeat('A body. ', 55)),
           'ready', moment, moment, moment
    FROM generate_series(1, %(rows)s) AS n,
         LATERAL (SELECT now() - make_interval(secs => %(seconds)s * (1 - n::float8 / %(rows)s)))
             AS past (moment)
    """,
    """
    UPDATE outbox_message
    SET lease_token = gen_random_uuid(), suspect = true, attempts = 1, sends = 1,
        due_at = ready_at + interval '60 s'
    WHERE queue = %(queue)s
    """,
    """
    UPDATE outbox_message
    SET state = 'dispatched', dispatched_at = ready_at, attempts = 0, lease_token = NULL,
        suspect = false, due_at = ready_at + interval '300 s'
    WHERE queue = %(queue)s
    """,
    FINISH,
)

FINISHED = """
INSERT INTO {table} (id, event_type, task, queue, attempts, sends,
                     received_at, ready_at, dispatched_at, done_at)
SELECT gen_random_uuid(), 'post.created', 'app.tasks.index_post', 'celery', 0, 1,
       moment, moment, moment, moment
FROM generate_series(1, %(rows)s) AS n,
     LATERAL (SELECT %(day)s::date::timestamp AT TIME ZONE 'UTC'
                     + make_interval(secs => 86399 * n::float8 / %(rows)s)) AS past (moment)
"""


def ready(cursor: Any, rows: int, queue: str) -> None:
    """Messages that wait to be sent."""
    cursor.execute(READY, {"rows": rows, "queue": queue})


def finish(cursor: Any, queue: str) -> int:
    """Have all that were sent done, as their worker would; how many there were."""
    cursor.execute(FINISH, {"queue": queue})
    return int(cursor.rowcount)


def live(cursor: Any, rows: int, queue: str) -> None:
    """Have so many come, be sent and be done, at the usual flow up to now."""
    for statement in LIVES:
        cursor.execute(statement, {"rows": rows, "queue": queue, "seconds": rows / FLOW})


def history(cursor: Any, rows: int, days: int = RETENTION_DAYS) -> None:
    """Fill the partitions of the last days, today's among them, with so many in all."""
    cursor.execute("SELECT (now() AT TIME ZONE 'UTC')::date")
    [[today]] = cursor.fetchall()
    for ago in range(days):
        partition(cursor, today - timedelta(days=ago), rows // days)
    cursor.execute("ANALYZE outbox_history")


def partition(cursor: Any, day: date, rows: int) -> None:
    """Fill a day's partition; one that is not there is indexed after it is filled: far sooner."""
    name = name_of(day)
    cursor.execute("SELECT to_regclass(%s) IS NULL", [name])
    [[missing]] = cursor.fetchall()
    if missing:
        cursor.execute(f"CREATE TABLE {name} (LIKE outbox_history)")
    cursor.execute(FINISHED.format(table=name), {"rows": rows, "day": day})
    if missing:
        cursor.execute(
            f"ALTER TABLE outbox_history ATTACH PARTITION {name}"
            " FOR VALUES FROM (%(first)s) TO (%(end)s)",
            {"first": f"{day} 00:00:00+00", "end": f"{day + timedelta(days=1)} 00:00:00+00"},
        )
    cursor.execute(f"VACUUM (ANALYZE) {name}")
