"""The age of the data in every state a server can be in, told by stand-ins for its functions."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from app.data_age import data_age

STAND_INS = """
    CREATE SCHEMA stand_in;
    CREATE FUNCTION stand_in.pg_is_in_recovery() RETURNS boolean
        LANGUAGE sql AS 'SELECT {recovery}';
    CREATE FUNCTION stand_in.pg_last_wal_receive_lsn() RETURNS pg_lsn
        LANGUAGE sql AS 'SELECT {received}::pg_lsn';
    CREATE FUNCTION stand_in.pg_last_wal_replay_lsn() RETURNS pg_lsn
        LANGUAGE sql AS 'SELECT {replayed}::pg_lsn';
    CREATE FUNCTION stand_in.pg_last_xact_replay_timestamp() RETURNS timestamptz
        LANGUAGE sql AS 'SELECT clock_timestamp() - {ago}::interval';
    CREATE VIEW stand_in.pg_stat_wal_receiver AS SELECT 1 AS pid WHERE {receiver};
    SET LOCAL search_path = stand_in, pg_catalog;
"""
BEHIND = {
    "recovery": "true",
    "received": "''0/300''",
    "replayed": "''0/200''",
    "ago": "''90 s''",
    "receiver": "true",
}
CURRENT = BEHIND | {"replayed": "''0/300''"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (BEHIND, 90),
        (CURRENT, 0),
        # It begins to receive at the start of a file, behind what it had before.
        (CURRENT | {"replayed": "''0/301''"}, 0),
        # What it lacks it cannot know.
        (CURRENT | {"receiver": "false"}, 90),
        (CURRENT | {"receiver": "false", "ago": "NULL"}, None),
        (BEHIND | {"ago": "NULL"}, None),
        # It takes the log from an archive.
        (BEHIND | {"received": "NULL"}, 90),
        # Its clock is behind the primary's.
        (BEHIND | {"ago": "''-5 s''"}, 0),
        (CURRENT | {"recovery": "false"}, 0),
        (dict.fromkeys(BEHIND, "NULL") | {"recovery": "false"}, 0),
    ],
)
def test_the_age_of_a_server(server: dict[str, str], expected: float | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(STAND_INS.format(**server))
    age: Any = data_age("default")
    assert age == (None if expected is None else pytest.approx(expected, abs=10))
