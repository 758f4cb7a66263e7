"""5: how soon a task begins, at 30 % of what the processes can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.frame.comparison import Say
from benchmarks.frame.goal import at_most
from benchmarks.frame.latency import Latency
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.stage import Stage
from benchmarks.limits.round_trip import round_trips
from benchmarks.ours import lateness
from benchmarks.ours.pipeline import Pipeline, pipeline

SHARE = 0.3
READY = {0.5: at_most(3), 0.99: at_most(12)}
ACCEPTED = {0.5: at_most(8), 0.99: at_most(30)}
FROM_READY = ("relay", "worker")
ALL = ("web", "postprocess", *FROM_READY)


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    rounds = [round_trips(stage, options.seconds / 2) for _ in range(options.pairs)]
    yield Latency("LISTEN/NOTIFY and one round through the broker", {0.5: None, 0.99: None}, rounds)
    with ExitStack() as stack:
        running = stack.enter_context(pipeline(stage, *(ALL if options.quick else FROM_READY)))
        yield _ready(running, options, say)
        if not options.quick:  # which need not leave the machine to those that are measured
            stack.close()
            running = stack.enter_context(pipeline(stage, *ALL))
        yield _accepted(stage, running, options, say)


def _ready(running: Pipeline, options: Options, say: Say) -> Latency:
    what = "ready committed to first line of the task"
    burst = 100 if options.quick else lateness.BURST
    lateness.ready_saturation(running, burst // 10)  # connections are made by the first
    most = lateness.ready_saturation(running, burst)
    rate = SHARE * most
    rounds = []
    for number in range(options.pairs):
        rounds.append(lateness.ready_lateness(running, rate, options.seconds))
        say(f"{what}: {number + 1} of {options.pairs}: p50 {rounds[-1].percentile(0.5):.3g} ms")
    return Latency(what, READY, rounds, lateness.settings(running, rate, most))


def _accepted(stage: Stage, running: Pipeline, options: Options, say: Say) -> Latency:
    what = "202 to first line of the task"
    burst = 100 if options.quick else lateness.BURST
    lateness.delivery_saturation(stage, running, burst // 10)
    most = lateness.delivery_saturation(stage, running, burst)
    rate = SHARE * most
    rounds = []
    for number in range(options.pairs):
        rounds.append(lateness.delivery_lateness(stage, running, rate, options.seconds))
        say(f"{what}: {number + 1} of {options.pairs}: p50 {rounds[-1].percentile(0.5):.3g} ms")
    return Latency(what, ACCEPTED, rounds, lateness.settings(running, rate, most))


LINE = Line(5, "latency", "how soon a task begins, at 30 % of what can be done", measure)
