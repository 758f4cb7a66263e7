"""How long messages take while many deliveries come in at once: `python -m benchmarks.burst`.

Needs the servers of `python -m deploy.devstack exec`, as `benchmarks.recovery` does.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import django

from deploy.devstack.console import Console

STEPS = {
    "received to ready": "ready_at - received_at",
    "ready to dispatched": "dispatched_at - ready_at",
    "ready to done": "done_at - ready_at",
    "received to done": "done_at - received_at",
}
SHARES = (0.5, 0.9, 0.99, 1.0)
PATIENCE_SECONDS = 300.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.burst", description=__doc__)
    parser.add_argument("--number", type=int, default=2000, help="of deliveries (default 2000)")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")
    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    databases = setup_databases(verbosity=0, interactive=False)
    try:
        Console().lines(measure(options.number))
    finally:
        teardown_databases(databases, verbosity=0)
    return 0


def measure(number: int) -> list[str]:
    """Send the burst, wait until all is done. Raises an error if one is refused or lost."""
    from tests.burst import SENDERS, send_burst  # they need the models
    from tests.service import running
    from tests.sql import count
    from tests.waiting import eventually

    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as service:
        began = time.monotonic()
        statuses = send_burst(service, number)
        sent = time.monotonic() - began
        if refused := set(statuses) - {202}:
            raise RuntimeError(f"not all were accepted: {sorted(refused)}")
        eventually(lambda: count("outbox_history") == number, PATIENCE_SECONDS)
        done = time.monotonic() - began
    return [
        f"{number} deliveries, {SENDERS} at a time: in after {sent:.1f} s, done after {done:.1f} s",
        " ".join([f"{'seconds':<20}", *(f"{share:>8.0%}" for share in SHARES)]),
        *(line(name, step) for name, step in STEPS.items()),
    ]


def line(name: str, step: str) -> str:
    from tests.sql import query

    shares = "percentile_cont(%s::float8[]) WITHIN GROUP"
    [[found]] = query(
        f"SELECT {shares} (ORDER BY extract(epoch FROM {step})) FROM outbox_history",  # noqa: S608
        list(SHARES),
    )
    return " ".join([f"{name:<20}", *(f"{float(seconds):>8.3f}" for seconds in found)])


if __name__ == "__main__":
    sys.exit(main())
