"""4: Posts filled with their categories and tags."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.frame.arm import Standing
from benchmarks.frame.comparison import Say, compare
from benchmarks.frame.goal import at_least
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.stage import Stage
from benchmarks.limits.add import FillByAdd
from benchmarks.limits.fill import FillByPgbench
from benchmarks.ours.filling import Filling


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    with Filling(stage) as ours:
        for what, limit, goal in (
            ("post-processor against pgbench", FillByPgbench(stage), at_least(0.85)),
            ("post-processor against .add() per Post", FillByAdd(stage), at_least(6)),
        ):
            yield compare(what, Standing(ours), [limit], options, say, goal=goal)


LINE = Line(4, "filling", "the post-processor against PostgreSQL alone, and the ORM", measure)
