"""A subject against a limit or a peer, in interleaved slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.frame.arm import Arm, Void
from benchmarks.frame.goal import Goal
from benchmarks.frame.options import Options
from benchmarks.frame.pairing import LIMIT, SUBJECT, Run, Turn, order
from benchmarks.frame.row import Row
from benchmarks.frame.spread import spread

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it: all runs, of which the last counts, as only void ones are repeated."""

    what: str
    goal: Goal | None
    subject: str
    limits: Sequence[str]
    unit: str
    settings: Mapping[str, Mapping[str, Any]]
    """By arm."""
    runs: Sequence[Run]

    @property
    def rows(self) -> list[Row]:
        run = self.runs[-1]
        arms = [self.subject, *self.limits]
        return [
            Row(
                self.what,
                "x",
                self.goal,
                spread(run.ratios) if run.ratios else None,
                run.void,
                {arm: run.microseconds(arm) for arm in arms},
                {arm: rate for arm in arms if (rate := _rate(run, arm))},
            )
        ]


def compare(
    what: str,
    subject: Arm,
    limits: Sequence[Arm],
    options: Options,
    say: Say,
    *,
    goal: Goal | None = None,
) -> Comparison:
    """Measure until a run is not void, as often as the options allow.

    All arms are entered at once, and each works a while for nothing before the first slice. Of
    several limits the slowest counts, turn by turn.
    """
    with ExitStack() as stack:
        arms = [subject, *limits]
        for arm in arms:
            say(f"{what}: starting {arm.name}")
            stack.enter_context(arm)
        runs: list[Run] = []
        while len(runs) < options.tries and (not runs or runs[-1].void):
            runs.append(_run(what, subject, limits, options, say))
            if why := runs[-1].void:
                say(f"{what}: void, {why}")
    return Comparison(
        what,
        goal,
        subject.name,
        [arm.name for arm in limits],
        subject.unit,
        {arm.name: dict(arm.settings) for arm in arms},
        runs,
    )


def _run(what: str, subject: Arm, limits: Sequence[Arm], options: Options, say: Say) -> Run:
    turns: list[Turn] = []
    try:
        for arm in (subject, *limits) if options.warm_seconds else ():
            arm.run(options.warm_seconds)
        places = [LIMIT, SUBJECT] if options.quick else order(options.pairs)
        for number, role in enumerate(places, 1):
            arms = [subject] if role == SUBJECT else limits
            turns.append(Turn(role, {arm.name: arm.run(options.seconds) for arm in arms}))
            told = ", ".join(f"{name} {s.rate:,.0f}/s" for name, s in turns[-1].slices.items())
            say(f"{what}: {number} of {len(places)}: {told}")
    except Void as error:
        return Run(turns, str(error) or "what came out is not what went in")
    return Run(turns)


def _rate(run: Run, arm: str) -> float:
    """The median of an arm's slices, 0 without any."""
    rates = [turn.slices[arm].rate for turn in run.turns if arm in turn.slices]
    return median(rates) if rates else 0.0
