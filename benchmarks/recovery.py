"""How long what a process held takes to be done after `kill -9`: `python -m benchmarks.recovery`.

Needs the servers of `python -m deploy.devstack exec`. The database is one of its own, made and
dropped as the tests' is; processes, senders and kills are those of the tests.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import django

from deploy.devstack.console import Console

if TYPE_CHECKING:
    from benchmarks.deaths import Figures, Times

RESULTS = Path(__file__).with_name("results") / "recovery.json"
SHORT, DEFAULT = (10, 20), (60, 300)
"""Lease and re-dispatch time in seconds: one that is quickly over, and what the service has."""
COLUMNS = ("killed", "caught", "messages", "median", "worst", "bound")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=5, help="of each process with work in hand (default 5)"
    )
    parser.add_argument("--short", action="store_true", help="with the short lease only")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")
    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    databases = setup_databases(verbosity=0, interactive=False)
    try:
        run(options.kills, [SHORT] if options.short else [SHORT, DEFAULT])
    finally:
        teardown_databases(databases, verbosity=0)
    return 0


def run(kills: int, settings: list[tuple[int, int]]) -> None:
    """Measure with each pair of settings, print the tables and store the numbers."""
    from benchmarks.deaths import Times, measure  # they need the models

    console = Console()
    broker = os.environ["CELERY_BROKER_URL"].partition(":")[0]
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "broker": broker}
    phases = []
    tables: list[str] = []
    for times in (Times(*pair) for pair in settings):
        console.say(f"lease {times.lease} s, re-dispatch {times.redispatch} s")
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(times, kills, Path(folder), console)
        tables += ["", *table(times, figures, amqp=broker == "amqp")]
        processes = {name: asdict(own) for name, own in figures.items()}
        phases.append({**asdict(times), "processes": processes})
    console.lines(tables)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine, "phases": phases}) + "\n")
    console.line(f"\nThe numbers: {os.path.relpath(RESULTS)}")


def table(times: Times, figures: dict[str, Figures], *, amqp: bool) -> list[str]:
    """One line for each process, in the order of the path."""
    from benchmarks.deaths import middle

    bounds = {
        "web": (0, "restart"),
        "postprocess": (times.lease, "lease + restart"),
        "relay": (times.lease, "lease + restart"),
        # RabbitMQ hands out at once what a lost connection had not acknowledged.
        "worker": (0, "restart") if amqp else (times.redispatch, "re-dispatch + restart"),
    }
    lines = [
        f"Lease {times.lease} s, re-dispatch {times.redispatch} s. Seconds from the death of a",
        "process to the `done` of the last message it held. Beyond the bound: the sender's next",
        "try and the rest of the way. `caught` is how often it held any.",
        " ".join([f"{'process':<12}", *(f"{word:>8}" for word in COLUMNS)]),
    ]
    for name, (wait, words) in bounds.items():
        own = figures[name]
        lines.append(
            f"{name:<12} {len(own.held):>8} {len(own.recovery):>8} {sum(own.held):>8}"
            f" {middle(own.recovery):>8.2f} {max(own.recovery, default=0):>8.2f}"
            f" {wait + max(own.restart):>8.2f}  {words}"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
