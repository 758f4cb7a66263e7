"""Every file of the report, as text."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from benchmarks.frame.raw import Record
from benchmarks.report.curves import curves
from benchmarks.report.goals import goals
from benchmarks.report.page import page
from benchmarks.report.rates import rates

PREFIX = "_static/performance-"


def files(records: list[Record], results: Path) -> dict[str, str]:
    """Text by name below docs/: the page, and a plot wherever there is something to see."""
    plots = dict(_plots(records))
    return {"performance.md": page(records, results, plots.keys()), **plots}


def stale(docs: Path, written: Collection[str]) -> list[Path]:
    """Plots of lines that are gone."""
    found = docs.glob(f"{PREFIX}*.svg")
    return sorted(path for path in found if str(path.relative_to(docs)) not in written)


def _plots(records: list[Record]) -> Iterator[tuple[str, str]]:
    if drawn := goals(records):
        yield f"{PREFIX}goals.svg", drawn
    for record in records:
        if drawn := rates(record):
            yield f"{PREFIX}{record.name}.svg", drawn
        if drawn := curves(record):
            yield f"{PREFIX}{record.name}-latency.svg", drawn
