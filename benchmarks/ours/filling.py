"""Our post-processor: a process as it is deployed, which finds so many Posts waiting."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Self

from benchmarks.frame.arm import Slice, Void
from benchmarks.frame.stage import Stage
from benchmarks.ours.pending import BATCH, WORK, pending, verify
from benchmarks.ours.pipeline import pipeline

POSTS_PER_SECOND = 6_000
PATIENCE = 20.0
"""Times the seconds of a slice."""
LOOK_SECONDS = 0.01

# In the order of their indexes, which hold little else: cheap enough to ask while it works.
_WAITS = """
SELECT (SELECT true FROM outbox_message WHERE state = 'pending' AND NOT suspect
        ORDER BY due_at LIMIT 1) IS NOT NULL
    OR (SELECT true FROM outbox_message WHERE state = 'pending' AND suspect
        ORDER BY due_at LIMIT 1) IS NOT NULL
"""


class Filling:
    """It stands still but for its turns: while Posts are made, and while others fill theirs."""

    name = "post-processor"
    unit = "filled Post"

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.settings: Mapping[str, Any] = {"processes": 1, "work": WORK}

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        running = self._stack.enter_context(pipeline(self._stage, "postprocess"))
        self._process = running.processes["postprocess"]
        self.settings = {**self.settings, "command": running.commands["postprocess"]}
        self._process.send(signal.SIGSTOP)
        self._stack.callback(self._process.send, signal.SIGCONT)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, seconds: float) -> Slice:
        posts = max(1, round(seconds * POSTS_PER_SECOND / BATCH)) * BATCH
        pending(self._stage, posts)
        with contextlib.closing(self._stage.connect()) as connection:
            cursor = connection.cursor()
            meter = self._stage.meter(postprocess=[self._process.pid])
            with meter.turn() as turn:
                self._process.send(signal.SIGCONT)
                cursor.execute("NOTIFY outbox_pending")
                try:
                    self._wait(cursor, PATIENCE * seconds + 30)
                finally:
                    self._process.send(signal.SIGSTOP)
        verify(self._stage, posts)
        return turn.slice(posts)

    def _wait(self, cursor: Any, patience: float) -> None:
        end = time.monotonic() + patience
        while time.monotonic() < end:
            cursor.execute(_WAITS)
            if not cursor.fetchone()[0]:
                return
            time.sleep(LOOK_SECONDS)
        raise Void(f"Posts still wait after {patience:.0f} s")
