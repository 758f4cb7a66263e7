"""6, in real time: ten minutes of messages while a snapshot holds the horizon."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from benchmarks.frame.comparison import Comparison, Say
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.pairing import Run
from benchmarks.frame.stage import Stage
from benchmarks.growth.flow import flow
from benchmarks.growth.holder import Holder, Holding
from benchmarks.growth.place import place
from benchmarks.judged.horizon import AFTER_SECONDS, BURST_SECONDS, MINUTES, pair

FLOW_SECONDS = 55.0
"""Of each minute; the rest is for the slices."""


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    """The same slices as in `horizon`, two pairs in each minute, where that makes up the time."""
    minutes, seconds = (1, options.seconds) if options.quick else (MINUTES, FLOW_SECONDS)
    wait = 0.0 if options.quick else AFTER_SECONDS
    short = replace(options, seconds=min(options.seconds, BURST_SECONDS))
    brief = replace(short, pairs=2, warm_seconds=min(options.warm_seconds, 0.1), tries=1)
    with (
        place(stage, "benchmark_free") as free,
        place(stage, "benchmark_held") as own,
        pair(free, own) as both,
        Holding(own, Holder.SNAPSHOT) as holding,
    ):
        found = []
        for minute in range(1, minutes + 1):
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda where: flow(where, where.name, seconds), (free, own)))
            found.append(both.compare(f"relay, horizon held, minute {minute}", brief, say))
        yield _all_of(found, f"relay while a snapshot holds the horizon for {minutes} minutes")
        yield from both.single(f"a message alone after {minutes} minutes", options)
        holding.end()
        time.sleep(wait)
        yield both.compare(f"relay {wait:.0f} s after the {minutes} minutes", short, say, False)


def _all_of(found: list[Comparison], what: str) -> Comparison:
    """The slices of all minutes as those of one run."""
    runs = [each.runs[-1] for each in found]
    trouble = next((run.trouble for run in runs if run.trouble), "")
    turns = [turn for run in runs for turn in run.turns]
    return replace(found[0], what=what, runs=[Run(turns, trouble)])


LINE = Line(6, "horizon-minutes", "the same in real time, ten minutes long", measure)
