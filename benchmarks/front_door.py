"""What a delivery costs, beside a view that does nothing: `python -m benchmarks.front_door`.

Needs the servers of `python -m deploy.devstack exec`, as `benchmarks.recovery` does. The views are
asked in turn, over HTTP, of one web process with the settings of the service; the parts of the
checks ahead of the database run in this process besides.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import django

from deploy.devstack.console import Console

if TYPE_CHECKING:
    from benchmarks.deliveries import Delivery
    from tests.service import Service

RESULTS = Path(__file__).with_name("results") / "front_door.json"
SIZES = {1_000: 400, 20_000: 300, 1_000_000: 30}
"""Bytes of a body, and deliveries in a slice."""
SENDERS = 4
BARE = "a bare view"
VIEWS = {BARE: "/bare/", "the checks alone": "/checks/", "the webhook": "/webhooks/posts/"}


@dataclass(frozen=True, slots=True)
class Slice:
    """One view asked for a while: what one request of it took."""

    processor: float
    """Seconds of the web process's processor time; the database's own is not in it."""
    elapsed: float
    """Seconds, of several senders together."""


@dataclass(slots=True)
class Figures:
    """What was measured with bodies of one size, slice by slice."""

    size: int
    views: dict[str, list[Slice]]
    parts: dict[str, list[float]]
    """Seconds of processor time."""

    def processor(self, view: str) -> list[float]:
        """Seconds of processor time for a request, slice by slice."""
        return [each.processor for each in self.views[view]]

    def ratios(self, view: str) -> list[float]:
        """How many times the processor time of the bare view it took, round by round."""
        rounds = zip(self.processor(BARE), self.processor(view), strict=True)
        return [own / bare for bare, own in rounds]

    def rates(self, view: str) -> list[float]:
        """Requests in a second, slice by slice."""
        return [1 / each.elapsed for each in self.views[view]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.front_door", description=__doc__)
    parser.add_argument("--rounds", type=int, default=8, help="of slices (default 8)")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")
    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    databases = setup_databases(verbosity=0, interactive=False)
    try:
        run(options.rounds)
    finally:
        teardown_databases(databases, verbosity=0)
    return 0


def run(rounds: int) -> None:
    """Measure with bodies of each size, print the tables and store the numbers."""
    from tests.signals.one_process import one_process, wait_until_idle  # they need the models

    console = Console()
    with (
        tempfile.TemporaryDirectory() as folder,
        one_process("web", Path(folder), wsgi="benchmarks.bare", WEB_CONCURRENCY="1") as service,
    ):
        wait_until_idle(service, "web")
        figures = [measure(service, size, rounds) for size in SIZES]
    for each in figures:
        console.lines(["", *table(each)])
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    found = {"machine": machine, "senders": SENDERS, "sizes": [asdict(each) for each in figures]}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found) + "\n")
    console.line(f"\nThe numbers: {os.path.relpath(RESULTS)}")


def measure(service: Service, size: int, rounds: int) -> Figures:
    """Ask the views in turn, and let the parts of the intake run between them."""
    from benchmarks import intake_parts
    from benchmarks.deliveries import signed_deliveries
    from tests.sql import query

    number = SIZES[size]
    figures = Figures(size, {view: [] for view in VIEWS}, {part: [] for part in intake_parts.PARTS})
    for turn in range(rounds + 1):
        for view, path in VIEWS.items():
            asked = ask(service, path, signed_deliveries(service, number, size))
            if turn:  # the first opens connections and fills caches
                figures.views[view].append(asked)
        deliveries = signed_deliveries(service, number, size)
        seconds = intake_parts.processor_seconds(deliveries, service.secret)
        for part, own in figures.parts.items():
            if turn:
                own.append(seconds[part])
        query("DELETE FROM outbox_message; DELETE FROM app_delivery; DELETE FROM app_post")
    return figures


def ask(service: Service, path: str, deliveries: list[Delivery]) -> Slice:
    """Send them all. Raises RuntimeError if one is refused."""
    with ThreadPoolExecutor(SENDERS) as pool:
        used, began = processor_seconds(service), time.monotonic()
        shares = [deliveries[n::SENDERS] for n in range(SENDERS)]
        statuses = set().union(*pool.map(lambda share: send_all(service, path, share), shares))
        elapsed, used = time.monotonic() - began, processor_seconds(service) - used
    if statuses != {202}:
        raise RuntimeError(f"not all were accepted: {sorted(statuses)}")
    return Slice(processor=used / len(deliveries), elapsed=elapsed / len(deliveries))


def send_all(service: Service, path: str, deliveries: Iterable[Delivery]) -> set[int]:
    from tests.service import send

    connection = service.connection()
    try:
        return {
            send(connection, "POST", path, each.body, each.headers).status for each in deliveries
        }
    finally:
        connection.close()


def processor_seconds(service: Service) -> float:
    """What the web process has used of a processor since its start."""
    seconds: float = service.ask("GET", "/processor/").body["seconds"]
    return seconds


def table(figures: Figures) -> list[str]:
    """Medians, and beside each the least and the most of the slices."""
    rounds = len(figures.views[BARE])
    return [
        f"Bodies of {figures.size:,} bytes, {rounds} rounds of {SIZES[figures.size]} requests",
        " ".join([f"{'':<24}", *(f"{word:>9}" for word in ("median", "min", "max"))]),
        "processor time, us, over HTTP",
        *(line(view, figures.processor(view), 1, unit=1e-6) for view in VIEWS),
        "processor time, us, by themselves",
        *(line(part, own, 1, unit=1e-6) for part, own in figures.parts.items()),
        "processor time, beside the bare view",
        *(line(view, figures.ratios(view), 2) for view in VIEWS if view != BARE),
        f"requests a second, {SENDERS} at a time",
        *(line(view, figures.rates(view), 0) for view in VIEWS),
    ]


def line(name: str, values: list[float], places: int, *, unit: float = 1.0) -> str:
    """One row of the table."""
    told = (f"{each / unit:>9.{places}f}" for each in (median(values), min(values), max(values)))
    return " ".join([f"  {name:<22}", *told])


if __name__ == "__main__":
    sys.exit(main())
