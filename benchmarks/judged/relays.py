"""7, its last part: several relays on one database against one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.frame.comparison import Say, compare
from benchmarks.frame.goal import at_least
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.stage import Stage
from benchmarks.growth.crew import crew
from benchmarks.growth.drain import Drain
from benchmarks.growth.place import place
from benchmarks.growth.tray import Tray

GOAL = at_least(0.95)
NUMBERS = (2, 4)
SECONDS = 4.0


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    """A message that was sent twice makes the run void: see `Drain`."""
    short = replace(options, seconds=min(options.seconds, SECONDS))
    with ExitStack() as stack:
        one = _relays(stack, stage, 1)
        for number in NUMBERS:
            with ExitStack() as own:
                several = _relays(own, stage, number)
                yield compare(f"{number} relays against 1", several, [one], short, say, goal=GOAL)


def _relays(stack: ExitStack, stage: Stage, number: int) -> Drain:
    """In a database of their own, so that they stand idle while others are measured."""
    where = stack.enter_context(place(stage, f"benchmark_relays_{number}"))
    tray = stack.enter_context(Tray(where.name))
    processes = stack.enter_context(crew(where, number))
    return Drain(f"{number} relay{'s' if number > 1 else ''}", where, processes, tray)


LINE = Line(7, "relays", "two and four relays on one database against one", measure)
