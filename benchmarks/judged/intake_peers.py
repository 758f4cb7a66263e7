"""2: the whole intake against the replaced design, and against the ORM."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.frame.arm import Standing
from benchmarks.frame.comparison import Say, compare
from benchmarks.frame.goal import at_least
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.stage import Stage
from benchmarks.ours.taking_in import ORM, OURS, REPLACED, TakingIn

GOALS = {REPLACED: at_least(2.5), ORM: at_least(6.0)}


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    with TakingIn(stage, OURS) as ours:
        for view, goal in GOALS.items():
            what, theirs = f"intake against the {view.name}", TakingIn(stage, view)
            yield compare(what, Standing(ours), [theirs], options, say, goal=goal)


LINE = Line(2, "intake-peers", "the whole intake against what it replaces, and the ORM", measure)
