"""Slices, runs and records that nobody has measured."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Self

from benchmarks.frame.arm import Slice, Void
from benchmarks.frame.comparison import Comparison
from benchmarks.frame.goal import at_least, at_most
from benchmarks.frame.latency import Latency
from benchmarks.frame.pairing import Run, Turn, order
from benchmarks.frame.quantity import Quantity
from benchmarks.frame.raw import Record
from benchmarks.frame.samples import Samples

BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SETTINGS = {"commit": "0123456789ab", "machine": {"cores": 2}, "python": "3.11"}


def a_slice(rate: float, **processor: float) -> Slice:
    """Of ten seconds."""
    return Slice(round(10 * rate), 10.0, processor, {"dead rows": 3.0})


def a_run(limits: Sequence[float], subjects: Sequence[float], trouble: str = "") -> Run:
    """Rates in the order of the slices."""
    rates = {"limit": list(limits), "subject": list(subjects)}
    names = {"limit": "bare", "subject": "ours"}
    turns = [
        Turn(role, {names[role]: a_slice(rates[role].pop(0), postgres=2.0, web=5.0)})
        for role in order(len(subjects))
    ]
    return Run(turns, trouble)


def a_comparison(*runs: Run, goal: float | None = 0.6) -> Comparison:
    bound = None if goal is None else at_least(goal)
    settings = {"ours": {"batch": 500}, "bare": {}}
    return Comparison("ours | bare", bound, "ours", ["bare"], "row", settings, runs)


def a_record(*findings: Any, name: str = "invented", number: int = 1) -> Record:
    return Record(number, name, "ours against nothing", BEGAN, SETTINGS, list(findings))


def one_of_each() -> list[Any]:
    """Met, missed, void and without a goal."""
    times = Samples.of_seconds(0.001 * n for n in range(1, 101))
    goals = {0.5: at_most(60), 0.99: at_most(12), 0.999: None}
    return [
        a_comparison(a_run([100, 130, 60, 100], [70] * 4), a_run([100] * 4, [70, 80, 70, 70])),
        a_comparison(a_run([100] * 4, [10] * 4, "3 messages are missing"), goal=None),
        Latency("how soon", goals, [times, times], {"rate": 500}),
        Quantity("queries when idle", "queries/s", [1.5, 1.25], at_most(2), {"processes": 4}),
        Quantity("memory", "MB", [], void="the relay ended"),
    ]


class Paced(AbstractContextManager["Paced"]):
    """An arm that does as it is told: rates in turn, or an exception in the place of one."""

    unit = "row"

    def __init__(self, name: str, *rates: float | Void, log: list[str]) -> None:
        self.name = name
        self.settings = {"rates": len(rates)}
        self.log = log
        self._rates = list(rates)
        self._next = 0

    def __enter__(self) -> Self:
        self.log.append(f"{self.name} starts")
        return self

    def __exit__(self, *_: object) -> None:
        self.log.append(f"{self.name} ends")

    def run(self, seconds: float) -> Slice:
        self.log.append(self.name)
        rate = self._rates[self._next % len(self._rates)]
        self._next += 1
        if isinstance(rate, Void):
            raise rate
        return Slice(round(rate * 10), 10.0, {"postgres": 1.0})
