"""The ledger in the database, and the table of effects: plain SQL on the contract's tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import closing
from typing import Any, TypeVar

import psycopg2

from tests.chaos.ledgers import Effect, Live, Seen, Stored

T = TypeVar("T")

# A row for each run of a task's body, written by the worker in the task's own transaction.
EFFECTS = """
CREATE TABLE chaos_effect (
    message_id uuid NOT NULL, post text NOT NULL, title text NOT NULL, body text NOT NULL,
    categories text[] NOT NULL, tags text[] NOT NULL, deleted_at timestamptz, words text[],
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX chaos_effect_message ON chaos_effect (message_id);
"""
NO_EFFECTS = "DROP TABLE IF EXISTS chaos_effect"

SEEN = """
SELECT message_id::text, post, title, body, categories, tags, deleted_at, words,
       extract(epoch FROM at)::float8
FROM chaos_effect ORDER BY at
"""
POSTS = """
SELECT p.source_id, p.title, p.body,
       array(SELECT name FROM app_category AS c JOIN app_post_categories AS l
             ON l.category_id = c.id WHERE l.post_id = p.id),
       array(SELECT name FROM app_tag AS t JOIN app_post_tags AS l
             ON l.tag_id = t.id WHERE l.post_id = p.id),
       p.deleted_at, tsvector_to_array(p.search_vector)
FROM app_post AS p
"""
LIVE = """
SELECT id::text, state,
       CASE WHEN isfinite(due_at)
            THEN extract(epoch FROM due_at - clock_timestamp())::float8 END AS due_in,
       last_error, extract(epoch FROM clock_timestamp())::float8
FROM outbox_message
"""
ODD = f"SELECT * FROM ({LIVE}) AS live WHERE state = 'dead' OR due_in IS NULL OR due_in > %s"
BACKLOG = """
SELECT (SELECT count(*) FROM outbox_message WHERE state <> 'dead'),
       (SELECT count(*) FROM outbox_message WHERE state = 'dead'),
       (SELECT count(*) FROM chaos_effect)
"""
# What the service's processes hold; a person's own sessions are left alone.
TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name IN
    ('pillarbox web', 'pillarbox postprocess', 'pillarbox relay', 'pillarbox worker')
"""


def once(dsn: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run one statement on a connection of its own. Raises psycopg2.Error."""
    with closing(psycopg2.connect(dsn, connect_timeout=3)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []


def insist(action: Callable[[], T], deadline: float = 60.0) -> T:
    """Do it, again and again while the server is away; raises its last error after the deadline."""
    end = time.monotonic() + deadline
    while True:
        try:
            return action()
        except psycopg2.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def live(dsn: str) -> list[Live]:
    """The messages that are not done."""
    return [Live(*row) for row in once(dsn, LIVE)]


def odd(dsn: str, horizon: float) -> list[Live]:
    """Those of them that nobody will take again within the horizon, in seconds; the dead, too."""
    return [Live(*row) for row in once(dsn, ODD, horizon)]


def stored(dsn: str) -> Stored:
    """All that the database holds."""
    return Stored(
        deliveries=dict(once(dsn, "SELECT webhook_id, message_id::text FROM app_delivery")),
        live=live(dsn),
        done=[row[0] for row in once(dsn, "SELECT id::text FROM outbox_history")],
        posts={post: _seen(*row) for post, *row in once(dsn, POSTS)},
    )


def effects(dsn: str) -> list[Effect]:
    """The ledger of effects, oldest first."""
    return [
        Effect(message_id, post, _seen(*row), at) for message_id, post, *row, at in once(dsn, SEEN)
    ]


def has_effect(dsn: str, message_ids: Collection[str]) -> bool:
    """Whether any of these messages has taken effect; not if the server is away."""
    any_of = "SELECT 1 FROM chaos_effect WHERE message_id = ANY(%s::uuid[]) LIMIT 1"
    try:
        return bool(once(dsn, any_of, list(message_ids)))
    except psycopg2.Error:
        return False


def sent_again(dsn: str) -> int:
    """Messages that were given to the broker more than once."""
    [[number]] = once(dsn, "SELECT count(*) FROM outbox_history WHERE sends > 1")
    return int(number)


def _seen(
    title: str, body: str, categories: list[str], tags: list[str], deleted_at: Any, words: Any
) -> Seen:
    return Seen(
        title,
        body,
        tuple(categories),
        tuple(tags),
        deleted_at and deleted_at.isoformat(),
        None if words is None else tuple(words),
    )
