"""What PostgreSQL takes to fill Posts in batches: by pgbench, with nothing around the statements.

One transaction is the work of a batch of our post-processor: the relations of 200 Posts, their text
and the state of their messages. It neither claims nor locks, and looks no name up.
"""

# ruff: noqa: S608 - the script is made of numbers in this module alone

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from typing import Any, Self

from benchmarks.frame.arm import Slice, Void
from benchmarks.frame.stage import Stage
from benchmarks.ours.pending import BATCH, WORK, pending, verify
from deploy.devstack.postgres_binaries import find_binaries

POSTS_PER_SECOND = 6_000
SCRIPT = rf"""
\set at :at + {BATCH}
BEGIN;
INSERT INTO app_post_categories (post_id, category_id)
SELECT :at + p, 1 + (:at + p + 25 * k) % 50
FROM generate_series(1, {BATCH}) AS p, generate_series(1, 2) AS k ON CONFLICT DO NOTHING;
INSERT INTO app_post_tags (post_id, tag_id)
SELECT :at + p, 1 + ((:at + p) * 31 + k * 97) % 2000
FROM generate_series(1, {BATCH}) AS p, generate_series(1, 5 + (:at + p) % 4) AS k
ON CONFLICT DO NOTHING;
UPDATE app_post
SET title = 'Title of post ' || id, body = repeat('Some words of text. ', 15),
    source_timestamp = '2026-01-01T00:00:00+00:00', source_event = 'msg_' || id
WHERE id = ANY (ARRAY(SELECT :at + p FROM generate_series(1, {BATCH}) AS p));
UPDATE outbox_message SET state = 'ready', ready_at = clock_timestamp(), due_at = now()
WHERE id = ANY (ARRAY(SELECT md5((:at + p)::text)::uuid FROM generate_series(1, {BATCH}) AS p));
COMMIT;
"""


class FillByPgbench:
    """One client, prepared statements, one transaction a batch."""

    name = "pgbench, set-based"
    unit = "filled Post"

    def __init__(self, stage: Stage) -> None:
        binaries, _ = find_binaries()
        self._program = binaries.folder / "pgbench"
        self.settings: Mapping[str, Any] = {
            "clients": 1,
            "protocol": "prepared",
            "Posts in a transaction": BATCH,
            "work": WORK,
        }
        self._stage = stage

    def __enter__(self) -> Self:
        self._script = self._stage.folder / "fill.sql"
        self._script.write_text(SCRIPT)
        return self

    def __exit__(self, *_: object) -> None:
        """There is nothing to end."""

    def run(self, seconds: float) -> Slice:
        batches = max(1, round(seconds * POSTS_PER_SECOND / BATCH))
        pending(self._stage, batches * BATCH)
        what = ("-n", "-M", "prepared", "-c", "1", "-t", str(batches), "-D", f"at=-{BATCH}")
        argv = (self._program, *what, "-f", self._script, self._stage.url)
        with self._stage.meter(pgbench=[os.getpid()]).turn() as turn:
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=20 * seconds + 60, check=False
            )
        found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
        if done.returncode or not found:
            raise Void(f"pgbench failed: {done.stderr[-500:]}")
        verify(self._stage, batches * BATCH)
        # Its own time, which begins when it is connected.
        return Slice(batches * BATCH, batches / float(found[1]), turn.processor)
