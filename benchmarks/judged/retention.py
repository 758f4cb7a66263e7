"""Beside the goals: dropping a day of ten million messages while deliveries come in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from benchmarks.frame.comparison import Say
from benchmarks.frame.latency import Latency
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.quantity import Quantity
from benchmarks.frame.stage import Stage
from benchmarks.growth import rows
from benchmarks.growth.accepting import accepting
from benchmarks.growth.place import Place, aimed, place

ROWS = 10_000_000
RATE = 200.0
SECONDS = 9.0
SHARES = dict.fromkeys((0.5, 0.99, 1.0))


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    number = 2_000 if options.quick else ROWS
    seconds = options.seconds if options.quick else SECONDS
    told = {"rows": number, "deliveries a second": RATE}
    with place(stage, "benchmark_retention") as where, accepting(where) as web:
        say(f"a partition of {number:,} rows")
        with where.cursor() as cursor:
            day = datetime.now(UTC).date() - timedelta(days=rows.RETENTION_DAYS + 1)
            rows.partition(cursor, day, number)
        where.settle()
        web.latencies(RATE, seconds / 3)
        calm = web.latencies(RATE, seconds)
        took: list[float] = []
        dropping = web.latencies(RATE, seconds, lambda: took.append(_maintain(where)))
        left = where.execute("SELECT count(*) FROM outbox_history")[0][0]
    yield Latency("202 with nothing else to do", SHARES, [calm], told)
    yield Latency("202 while the partition is dropped", SHARES, [dropping], told)
    void = f"{left:,} rows are still there" if left else ""
    yield Quantity(f"outbox maintain drops {number:,} rows", "ms", took, settings=told, void=void)


def _maintain(where: Place) -> float:
    """Milliseconds that the command takes, without the start of a process."""
    from django.core.management import call_command  # needs the settings

    with aimed(where):
        began = time.monotonic()
        call_command("outbox", "maintain", verbosity=0)
        return 1e3 * (time.monotonic() - began)


LINE = Line(9, "retention", "dropping ten million messages while deliveries come in", measure)
