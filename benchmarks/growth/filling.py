"""How fast a post-processor fills Posts: an arm for any state that the database has grown into."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from benchmarks.frame.arm import Slice, Void
from benchmarks.frame.stage import Stage
from deploy.devstack.process import Process
from tests.waiting import eventually

POSTS_PER_SECOND = 3_000
"""For a slice of a second so many are to be filled: it then takes about that."""
PATIENCE_SECONDS = 60.0

# As the intake leaves them: the Post empty, its change in the message. Two categories, five tags.
PENDING = """
WITH new AS MATERIALIZED (
    SELECT gen_random_uuid() AS id, gen_random_uuid()::text AS source, n
    FROM generate_series(1, %(posts)s) AS n
), post AS (
    INSERT INTO app_post (source_id) SELECT source FROM new
)
INSERT INTO outbox_message (id, event_type, task, queue, payload, state)
SELECT id, 'post.created', 'app.tasks.index_post', %(queue)s,
       jsonb_build_object(
           'source_id', source, 'webhook_id', 'msg_' || source,
           'timestamp', '2026-01-01T00:00:00+00:00',
           'title', 'A title', 'body', repeat('A body. ', 55),
           'categories', jsonb_build_array('news', 'letters'),
           'tags', jsonb_build_array('tag-' || n %% 50, 'tag-' || 50 + n %% 50,
                                     'tag-' || 100 + n %% 50, 'tag-' || 150 + n %% 50,
                                     'tag-' || 200 + n %% 50)),
       'pending'
FROM new
"""
FILLED = """
SELECT count(*), extract(epoch FROM max(ready_at) - %(began)s)::float8
FROM outbox_message WHERE queue = %(queue)s AND state = 'ready' AND NOT suspect
"""
TAKE_AWAY = """
DELETE FROM outbox_message WHERE queue = %(queue)s AND state = 'ready' AND NOT suspect
"""
LEFT = "SELECT FROM outbox_message WHERE state = 'pending' LIMIT 1"
LINKS = "SELECT count(*) FROM app_post_tags"


class Filling:
    """A post-processor that waits for work gets some thousand messages at once; the last that is
    ready ends the slice. Its messages are then taken away, its Posts stay.

    It runs before and after a slice too: whoever measures has started it.
    """

    unit = "filled Post"

    def __init__(self, name: str, stage: Stage, process: Process) -> None:
        self.name = name
        self.settings: Mapping[str, Any] = {"post-processors": 1, "tags": 5, "categories": 2}
        self._stage = stage
        self._process = process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The post-processor stays."""

    def run(self, seconds: float) -> Slice:
        number = max(1, round(seconds * POSTS_PER_SECOND))
        given = {"queue": "benchmark-filling", "posts": number}
        with contextlib.closing(self._stage.connect()) as connection:
            cursor = connection.cursor()
            cursor.execute(LINKS)
            [[links]] = cursor.fetchall()
            cursor.execute("BEGIN")
            cursor.execute(PENDING, given)
            with self._stage.meter(postprocess=[self._process.pid]).turn() as turn:
                cursor.execute("COMMIT")
                cursor.execute("SELECT clock_timestamp()")
                [[began]] = cursor.fetchall()
                cursor.execute("NOTIFY outbox_pending")
                took = self._filled(cursor, number, given | {"began": began})
            cursor.execute(LINKS)
            if (made := cursor.fetchall()[0][0] - links) != 5 * number:
                raise Void(f"{made} tags for {number} Posts with 5 each")
            cursor.execute(TAKE_AWAY, given)
        return Slice(number, took, turn.processor)

    def _filled(self, cursor: Any, number: int, given: Mapping[str, Any]) -> float:
        """Seconds from the commit to the last that is ready, once all are."""

        def ask() -> float | None:
            cursor.execute(LEFT)
            if cursor.rowcount:
                return None
            cursor.execute(FILLED, given)
            [[filled, seconds]] = cursor.fetchall()
            return float(seconds) if filled == number else None

        try:
            return eventually(ask, PATIENCE_SECONDS) or 0.0
        except AssertionError as error:
            raise Void(self._process.complaint(f"has not filled {number} Posts")) from error


@contextmanager
def filling(stage: Stage, name: str) -> Iterator[Filling]:
    """Start the post-processor and wait until it waits for work; stop it at the end."""
    from tests.signals.one_process import one_process  # needs the models

    folder = stage.folder / f"postprocess-{name.replace(' ', '-')}"
    with one_process("postprocess", folder, DATABASE_URL=stage.url) as service:
        process = service.processes["postprocess"]
        process.wait_until(lambda: "waits for work" in process.output(), 30)
        yield Filling(name, stage, process)
