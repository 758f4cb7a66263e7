"""8: what the processes cost that have nothing to do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.frame.comparison import Say
from benchmarks.frame.goal import at_most
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.quantity import Quantity
from benchmarks.frame.stage import Stage
from benchmarks.ours.pipeline import pipeline

NAMES = ("web", "postprocess", "relay", "worker")
SETTLED_SECONDS = 5.0
LOOKS = 6
"""Slices that it takes: 60 s of the usual ones."""

LOOK_SECONDS = 0.005
"""Queries of one session that begin less than so long apart are seen as one."""

_STARTED = """
SELECT pid, query_start FROM pg_stat_activity
WHERE datname = %s AND application_name = %s AND query_start IS NOT NULL
"""


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    with (
        stage.another_database("bench_beside") as beside,
        contextlib.closing(stage.connect(beside)) as connection,
    ):
        for name in NAMES:
            yield from _idle(stage, name, connection.cursor(), options)
            say(f"{name} was looked at")


def _idle(stage: Stage, name: str, beside: Any, options: Options) -> Iterator[Finding]:
    """By itself, so that nobody else gives it anything to do."""
    seconds = options.seconds if options.quick else LOOKS * options.seconds
    with pipeline(stage, name) as running:
        time.sleep(0 if options.quick else SETTLED_SECONDS)
        top = running.processes[name].pid
        pids = [top, *_children(top)]
        workers = max(1, len(pids) - 1) if name == "web" else 1
        kinds = {f"{name} {number}": [pid] for number, pid in enumerate(pids)}
        with stage.meter(**kinds).turn() as turn:
            queries = _queries(beside, stage, name, seconds)
        asked = queries / turn.seconds / workers
        settings = {"command": running.commands[name], "processes": len(pids), "seconds": seconds}
    shares = [100 * turn.processor[kind] / turn.seconds for kind in kinds]
    yield Quantity(f"queries of an idle {name}", "queries/s", [asked], at_most(2), settings)
    yield Quantity(f"an idle {name}", "% of a core", [max(shares)], at_most(0.3), settings)


def _queries(cursor: Any, stage: Stage, name: str, seconds: float) -> int:
    """How many its sessions begin in that time. Several statements in one message count as one."""
    whose = [urlsplit(stage.url).path.lstrip("/"), f"pillarbox {name}"]
    cursor.execute(_STARTED, whose)
    before = set(cursor.fetchall())
    seen = set(before)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
        cursor.execute(_STARTED, whose)
        seen.update(cursor.fetchall())
    return len(seen - before)


def _children(pid: int) -> list[int]:
    """Of a process, those that it has forked."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


LINE = Line(8, "idle", "what processes cost that have nothing to do", measure)
