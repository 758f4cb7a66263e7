"""Beside the goals: what a message writes to PostgreSQL's log from the webhook until it is done."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.frame.comparison import Say
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.quantity import Quantity
from benchmarks.frame.stage import Stage
from benchmarks.growth.accepting import BODY_BYTES, Accepting

RATE, SECONDS = 200.0, 15.0
ROUNDS = 3
PATIENCE_SECONDS = 120.0

WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8"
DONE = "SELECT count(*) FROM outbox_history"


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    """All four processes work on it, in tables that hold as many again already."""
    from tests.service import running  # needs the models

    seconds, rounds = (options.seconds, 1) if options.quick else (SECONDS, ROUNDS)
    fresh: list[float] = []
    later: list[float] = []
    with running(stage.folder / "lifetime") as service:
        web = Accepting("intake", stage, service)
        _written(stage, web, seconds)
        for place in range(rounds):
            say(f"lifetime: round {place + 1} of {rounds}")
            stage.settle()
            fresh.append(_written(stage, web, seconds))
            later.append(_written(stage, web, seconds))
    told = {"deliveries a second": RATE, "seconds": seconds, "bytes of a body": BODY_BYTES}
    yield Quantity("WAL of a message from webhook to done", "bytes", later, settings=told)
    yield Quantity("the same right after a checkpoint", "bytes", fresh, settings=told)


def _written(stage: Stage, web: Accepting, seconds: float) -> float:
    """Bytes for each delivery, all its rows and states together."""
    from tests.waiting import eventually

    [[before]], [[done]] = stage.execute(WRITTEN), stage.execute(DONE)
    accepted = web.latencies(RATE, seconds).number
    eventually(lambda: stage.execute(DONE)[0][0] == done + accepted, PATIENCE_SECONDS)
    return float((stage.execute(WRITTEN)[0][0] - before) / accepted)


LINE = Line(9, "lifetime", "what a message writes to PostgreSQL's log in its whole life", measure)
