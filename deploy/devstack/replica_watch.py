"""Watches the replica for one Post, while its delivery is worked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg2
import psycopg2.errors

from deploy.devstack.journey import Sighting

INTERVAL = 0.004
"""Seconds between two looks: a look takes about 0.3 ms, and what is measured takes tens of ms."""

_LOOK = """
SELECT (SELECT count(*) FROM app_post_categories WHERE post_id = post.id),
       (SELECT count(*) FROM app_post_tags WHERE post_id = post.id)
  FROM app_post AS post WHERE post.source_id = %s
"""


class ReplicaWatch:
    """Looks at the replica again and again, in a thread of its own, on a connection of its own.

    Only what changed is kept: the first look, and each one that found something else.
    """

    def __init__(self, url: str, source_id: str) -> None:
        self._url = url
        self._source_id = source_id
        self._seen: list[Sighting] = []
        self._connected = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replica watch", daemon=True)
        self.error: str | None = None

    def start(self, deadline: float = 5.0) -> None:
        """Begin, and wait for the first look, or for the reason why there is none."""
        self._thread.start()
        self._connected.wait(deadline)

    def sightings(self, since: float) -> list[Sighting]:
        """What was seen so far, oldest first; ``since``: the time.monotonic() to count from."""
        return [replace(sighting, at=sighting.at - since) for sighting in list(self._seen)]

    def saw(self, wanted: Callable[[Sighting], bool]) -> bool:
        return any(wanted(sighting) for sighting in list(self._seen))

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        try:
            with closing(psycopg2.connect(self._url, connect_timeout=5)) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute("SET statement_timeout = '2s'")
                    while not self._stopping.wait(INTERVAL):
                        self._note(self._look(cursor))
                        self._connected.set()
        except psycopg2.Error as error:
            self.error = str(error).strip() or type(error).__name__
        finally:
            self._connected.set()

    def _look(self, cursor: Any) -> tuple[int, int] | None:
        try:
            cursor.execute(_LOOK, [self._source_id])
        except psycopg2.errors.UndefinedTable:
            return None  # a replica far behind has not even the tables yet
        row: tuple[int, int] | None = cursor.fetchone()
        return row

    def _note(self, row: tuple[int, int] | None) -> None:
        now = time.monotonic()
        sighting = Sighting(now, False) if row is None else Sighting(now, True, *row)
        last = self._seen[-1] if self._seen else None
        if last is None or str(last) != str(sighting):
            self._seen.append(sighting)
