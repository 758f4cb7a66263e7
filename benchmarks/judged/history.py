"""7: every rate with ten million messages that are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace

from benchmarks.frame.arm import Arm
from benchmarks.frame.comparison import Say, compare
from benchmarks.frame.goal import at_least
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.stage import Stage
from benchmarks.growth import rows
from benchmarks.growth.accepting import accepting
from benchmarks.growth.crew import crew
from benchmarks.growth.drain import Drain
from benchmarks.growth.filling import filling
from benchmarks.growth.place import Place, place
from benchmarks.growth.tray import Tray

GOAL = at_least(0.97)
ROWS = 10_000_000
SECONDS = 4.0


@contextmanager
def draining(where: Place, name: str) -> Iterator[Drain]:
    """One relay."""
    with Tray(where.name) as tray, crew(where, 1) as relays:
        yield Drain(name, where, relays, tray)


RATES: dict[str, Callable[[Place, str], AbstractContextManager[Arm]]] = {
    "intake": accepting,
    "post-processor": filling,
    "relay": draining,
}


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    number = 2_000 if options.quick else ROWS
    short = replace(options, seconds=min(options.seconds, SECONDS))
    with place(stage, "benchmark_history") as old, place(stage, "benchmark_new") as new:
        say(f"history: {number:,} rows")
        with old.cursor() as cursor:
            rows.history(cursor, number)
        for what, start in RATES.items():
            for where in (old, new):
                where.empty()
                where.settle()
            with ExitStack() as stack:
                arm = stack.enter_context(start(old, f"{what} with history"))
                limit = stack.enter_context(start(new, f"{what} without"))
                title = f"{what} with {number:,} done"
                yield compare(title, arm, [limit], short, say, goal=GOAL)


LINE = Line(7, "history", "every rate with ten million messages done", measure)
