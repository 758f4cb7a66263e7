"""7: every rate with a long backlog of ready messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.frame.comparison import Comparison, Say, compare
from benchmarks.frame.goal import at_least
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.quantity import Quantity
from benchmarks.frame.stage import Stage
from benchmarks.growth import rows
from benchmarks.growth.accepting import accepting
from benchmarks.growth.backlog_drain import BacklogDrain
from benchmarks.growth.filling import filling
from benchmarks.growth.place import Place, place
from benchmarks.growth.tray import Tray

GOAL = at_least(0.95)
ROWS = 1_000_000
SECONDS = 4.0
WARM_SECONDS = 0.5


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    number = 2_000 if options.quick else ROWS
    warm = min(options.warm_seconds, WARM_SECONDS)
    short = replace(options, seconds=min(options.seconds, SECONDS), warm_seconds=warm)
    with place(stage, "benchmark_full") as full, place(stage, "benchmark_empty") as empty:
        yield from _relay(full, empty, number, short, say)
        for what, start in (("intake", accepting), ("post-processor", filling)):
            for where in (full, empty):
                where.empty()
            with full.cursor() as cursor:
                rows.ready(cursor, number, "celery")
            for where in (full, empty):
                where.settle()
            with start(full, "backlog") as arm, start(empty, "no backlog") as limit:
                yield compare(f"{what} with {number:,} ready", arm, [limit], short, say, goal=GOAL)


def _relay(full: Place, empty: Place, number: int, options: Options, say: Say) -> Iterator[Finding]:
    with ExitStack() as stack:
        trays = [stack.enter_context(Tray(where.name)) for where in (full, empty)]
        arm = BacklogDrain("backlog", full, trays[0], backlog=number)
        limit = BacklogDrain("no backlog", empty, trays[1])
        what = f"relay with {number:,} ready"
        found = compare(what, arm, [limit], options, say, goal=GOAL)
    yield found
    for name in (arm.name, limit.name):
        yield Quantity(f"memory of the relay, {name}", "MB", _memory(found, name))


def _memory(found: Comparison, arm: str) -> list[float]:
    slices = [turn.slices[arm] for turn in found.runs[-1].turns if arm in turn.slices]
    return [each.told["relay MB"] for each in slices]


LINE = Line(7, "backlog", "every rate with a million messages ready", measure)
