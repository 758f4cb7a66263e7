"""Beside the goals: how long a 202 takes while a backlog drains, and without a broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.frame.comparison import Say
from benchmarks.frame.latency import Latency
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.samples import Samples
from benchmarks.frame.stage import Stage
from benchmarks.growth import rows
from benchmarks.growth.accepting import Accepting, accepting
from benchmarks.growth.crew import crew
from benchmarks.growth.place import Place, place
from benchmarks.growth.tray import Tray

BACKLOG = 1_000_000
LOAD, LIGHT_LOAD = 0.6, 0.3
"""Of saturation. Beside a relay at full speed two cores have no room for the first."""
SECONDS = 10.0
ROUNDS = 3
NO_BROKER = "amqp://127.0.0.1:1//"
SHARES = dict.fromkeys((0.5, 0.99))


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    seconds, rounds = (options.seconds, 1) if options.quick else (SECONDS, ROUNDS)
    backlog = 2_000 if options.quick else BACKLOG
    with place(stage, "benchmark_strain") as where, accepting(where) as web:
        full = web.run(seconds).rate
        told = {"saturation": round(full), "seconds": seconds, "rounds": rounds}
        found: dict[str, list[Samples]] = {}
        for number in range(rounds):
            say(f"strain: round {number + 1} of {rounds}, {full:,.0f}/s is all it takes")
            for name, samples in _round(where, web, full, seconds, backlog):
                found.setdefault(name, []).append(samples)
        for name, taken in found.items():
            yield Latency(f"202 {name}", SHARES, taken, told)


def _round(
    where: Place, web: Accepting, full: float, seconds: float, backlog: int
) -> Iterator[tuple[str, Samples]]:
    where.empty()
    yield f"at {LOAD:.0%} of saturation", web.latencies(LOAD * full, seconds)
    light = LIGHT_LOAD * full
    yield f"at {LIGHT_LOAD:.0%}", web.latencies(light, seconds)
    with crew(where, 1, CELERY_BROKER_URL=NO_BROKER):
        yield f"at {LIGHT_LOAD:.0%}, no broker", web.latencies(light, seconds)
    with ExitStack() as stack:
        tray = stack.enter_context(Tray(where.name))
        with where.cursor() as cursor:
            rows.ready(cursor, backlog, tray.queue)
            cursor.execute("VACUUM (ANALYZE) outbox_message")
        stack.enter_context(crew(where, 1))
        yield f"at {LIGHT_LOAD:.0%}, {backlog:,} draining", web.latencies(light, seconds)


LINE = Line(9, "strain", "how long a 202 takes beside other work", measure)
