"""1: the whole intake against a view that touches no database."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.frame.arm import Standing
from benchmarks.frame.comparison import Say, compare
from benchmarks.frame.goal import at_least
from benchmarks.frame.latency import Latency
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.stage import Stage
from benchmarks.ours.taking_in import ECHO, OURS, TakingIn

GOAL = at_least(0.60)
LOAD = 0.60
"""Of what it takes in at most; deliveries then come when they come."""


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    ours = TakingIn(stage, OURS)
    with ours:
        what = "intake against an echo"
        found = compare(what, Standing(ours), [TakingIn(stage, ECHO)], options, say, goal=GOAL)
        yield found
        rate = LOAD * found.rows[0].rates.get(ours.name, 0.0)
        if not rate:
            return
        rounds = [ours.latencies(rate, options.seconds) for _ in range(options.pairs)]
    what = f"202 at {LOAD:.0%} of saturation"
    yield Latency(what, {0.5: None, 0.99: None}, rounds, {"rate": rate, **ours.settings})


LINE = Line(1, "intake", "the whole intake against a view without a database", measure)
