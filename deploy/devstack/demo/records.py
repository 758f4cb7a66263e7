"""What the databases of the sender and of Pillarbox hold after, and during, a demo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg2
from psycopg2 import sql

from deploy.devstack.demo.comparison import Fields, expected_names

CONNECT_SECONDS = 5


@contextmanager
def fresh(url: str, *names: str) -> Iterator[list[str]]:
    """The URLs of new, empty databases beside that of `url`; they are dropped at the end."""
    with closing(_connect(url)) as connection:
        for name in names:
            _drop(connection, name)
            connection.cursor().execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield [named(url, name) for name in names]
    finally:
        with closing(_connect(url)) as connection:
            for name in names:
                _drop(connection, name)


def named(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _drop(connection: Any, name: str) -> None:
    statement = "DROP DATABASE IF EXISTS {} WITH (FORCE)"
    connection.cursor().execute(sql.SQL(statement).format(sql.Identifier(name)))


def _connect(url: str) -> Any:
    connection = psycopg2.connect(url, connect_timeout=CONNECT_SECONDS)
    connection.autocommit = True
    return connection


class Records:
    """One database, read on a connection of its own until `close`."""

    def __init__(self, url: str) -> None:
        self._connection = _connect(url)

    def close(self) -> None:
        self._connection.close()

    def states(self) -> dict[str, int]:
        """How many messages are in each state, those that are done too."""
        return dict(
            self._rows(
                "SELECT state, count(*) FROM outbox_message GROUP BY state"
                " UNION ALL SELECT 'done', count(*) FROM outbox_history"
            )
        )

    def errors(self, most: int = 3) -> list[str]:
        """What the oldest messages that failed say of it, one line each."""
        rows = self._rows(
            "SELECT state, last_error FROM outbox_message WHERE last_error <> ''"
            " ORDER BY state, received_at LIMIT %s",
            most,
        )
        return [f"{state}: {error.strip().splitlines()[-1][:300]}" for state, error in rows]

    def sent_posts(self) -> dict[str, Fields]:
        """The sender's posts by id, as they must have arrived."""
        rows = self._rows(
            "SELECT id::text, title, body, changed_at,"
            " ARRAY(SELECT name FROM blog_category JOIN blog_post_categories AS link"
            "  ON link.category_id = blog_category.id WHERE link.post_id = post.id),"
            " ARRAY(SELECT name FROM blog_tag JOIN blog_post_tags AS link"
            "  ON link.tag_id = blog_tag.id WHERE link.post_id = post.id)"
            " FROM blog_post AS post"
        )
        return {
            post_id: {
                "deleted": False,
                "title": title,
                "body": body,
                "changed_at": changed_at.isoformat(),
                "categories": expected_names(categories),
                "tags": expected_names(tags),
                "searchable": True,
            }
            for post_id, title, body, changed_at, categories, tags in rows
        }

    def arrived_posts(self) -> dict[str, Fields]:
        """Pillarbox's posts by the sender's id, those that were deleted too."""
        rows = self._rows(
            "SELECT source_id, deleted_at IS NOT NULL, title, body, source_timestamp,"
            " ARRAY(SELECT name FROM app_category JOIN app_post_categories AS link"
            "  ON link.category_id = app_category.id WHERE link.post_id = post.id),"
            " ARRAY(SELECT name FROM app_tag JOIN app_post_tags AS link"
            "  ON link.tag_id = app_tag.id WHERE link.post_id = post.id),"
            " search_vector IS NOT NULL FROM app_post AS post"
        )
        return {
            source_id: {
                "deleted": deleted,
                "title": title,
                "body": body,
                "changed_at": timestamp and timestamp.isoformat(),
                "categories": sorted(categories),
                "tags": sorted(tags),
                "searchable": searchable,
            }
            for source_id, deleted, title, body, timestamp, categories, tags, searchable in rows
        }

    def delivered(self) -> dict[str, tuple[float, int]]:
        """By the webhook's id: seconds from ready to delivered, and the tries that failed."""
        rows = self._rows(
            "SELECT id::text, extract(epoch FROM done_at - ready_at)::float, attempts"
            " FROM outbox_history"
        )
        return {webhook_id: (seconds, tries) for webhook_id, seconds, tries in rows}

    def taken_in(self) -> dict[str, tuple[float, float, float, float]]:
        """By the webhook's id, seconds since the epoch: received, ready, dispatched, done."""
        epochs = ", ".join(
            f"extract(epoch FROM {name})::float"
            for name in ("message.received_at", "ready_at", "dispatched_at", "done_at")
        )
        rows = self._rows(
            f"SELECT webhook_id, {epochs} FROM app_delivery"  # noqa: S608 - literals
            " JOIN outbox_history AS message ON message.id = message_id"
        )
        return {row[0]: (row[1], row[2], row[3], row[4]) for row in rows}

    def _rows(self, statement: str, *parameters: object) -> Sequence[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return rows
