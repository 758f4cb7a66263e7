"""Databases beside the stage's own, so that what has grown stands next to what has not."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from psycopg2 import sql

from benchmarks.frame.stage import Stage, named


@dataclass(frozen=True, slots=True)
class Place(Stage):
    """A stage whose history stays: emptying it empties the other tables."""

    def empty(self) -> None:
        self.execute("""
            TRUNCATE outbox_message, app_delivery, app_delivery_conflict, app_post, app_category,
                     app_tag RESTART IDENTITY CASCADE
        """)

    @property
    def name(self) -> str:
        """Of its database."""
        return urlsplit(self.url).path.lstrip("/")

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor on a connection of its own, in autocommit."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            yield cursor


@contextmanager
def place(stage: Stage, name: str) -> Iterator[Place]:
    """A copy of the stage's database, to which nobody may be connected; dropped at the end."""
    from django.db import connection  # needs the settings

    url = named(stage.url, name)
    own = Place(**{each.name: getattr(stage, each.name) for each in fields(stage)} | {"url": url})
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    template = sql.Identifier(urlsplit(stage.url).path.lstrip("/"))
    connection.close()
    stage.drop_database(name)
    with contextlib.closing(stage.connect(named(stage.url, "postgres"))) as session:
        session.cursor().execute(copy.format(sql.Identifier(name), template))
    try:
        yield own
    finally:
        stage.drop_database(name)


@contextmanager
def aimed(stage: Stage) -> Iterator[None]:
    """Have Django's connection, and processes that are started meanwhile, use its database."""
    from django.db import connection

    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = urlsplit(stage.url).path.lstrip("/")
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
