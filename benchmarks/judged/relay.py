"""3: the relay against what PostgreSQL and the broker leave to be had, and against Celery alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.frame.arm import Arm
from benchmarks.frame.comparison import Say, compare
from benchmarks.frame.goal import at_least
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.stage import Stage
from benchmarks.growth.crew import crew
from benchmarks.growth.drain import Drain
from benchmarks.growth.place import place
from benchmarks.growth.tray import Tray
from benchmarks.limits.pgbench_claims import ClaimAndMark
from benchmarks.limits.publish_loop import TRIAL_SECONDS, PublishLoop
from benchmarks.peers.celery_direct import ApplyAsync


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    """All with one relay, that waits while the others work."""
    with ExitStack() as stack:
        where = stack.enter_context(place(stage, "benchmark_sent"))
        own = stack.enter_context(place(stage, "benchmark_claimed"))
        tray = stack.enter_context(Tray(where.name))
        relays = stack.enter_context(crew(where, 1))
        relay = Drain("relay", where, relays, tray)
        loop = PublishLoop(stage, min(options.seconds, TRIAL_SECONDS))
        limits: list[Arm] = [ClaimAndMark(own), loop]
        yield compare("relay", relay, limits, options, say, goal=at_least(0.9))
        confirmed = ApplyAsync(stage, confirms=True)
        what = "relay against Celery with confirms"
        yield compare(what, relay, [confirmed], options, say, goal=at_least(10))
        default = ApplyAsync(stage, confirms=False)
        what = "relay against Celery as it is by default"
        yield compare(what, relay, [default], options, say, goal=at_least(2.7))


LINE = Line(3, "relay", "the relay against its limits, and against Celery alone", measure)
