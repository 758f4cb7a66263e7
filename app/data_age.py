"""How old the data is that a server answers from."""

from __future__ import annotations

from typing import Final

from django.db import connections

# A primary that has nothing to commit makes the time since the last replayed commit grow while
# the replica misses nothing: where all is replayed that was received, the age is 0. That holds only
# while something can be received: a replica that has lost its primary has replayed everything too.
_AGE: Final = """
    SELECT CASE
        WHEN NOT pg_is_in_recovery() THEN 0
        WHEN pg_last_wal_receive_lsn() <= pg_last_wal_replay_lsn()
             AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0
        ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())
    END
"""


def data_age(database: str) -> float | None:
    """Seconds by which the server behind this alias may be behind the primary; 0 on a primary.

    What was committed that long ago, or longer, is in whatever is read on this connection from now
    on. None if the server cannot tell: a replica that has replayed nothing since its start.
    """
    with connections[database].cursor() as cursor:
        cursor.execute(_AGE)
        [[age]] = cursor.fetchall()
    # Below 0 where the two clocks differ.
    return None if age is None else max(0.0, float(age))
