"""A plot of a line's latencies: which share of all was done within which time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from benchmarks.frame.latency import Latency
from benchmarks.frame.raw import Record
from benchmarks.frame.table import figure
from benchmarks.report.drawing import WIDTH, Drawing, shortened

PLOT, HEAD, FOOT, LEFT, RIGHT = 150, 34, 36, 64, 40
"""Pixels: the height of a plot, and beside it."""
SHARES = (0.0, 0.5, 0.9, 0.99, 0.999)
STEPS = 60
TICKS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)


def curves(record: Record) -> str:
    """One below the other, a curve for each round, or nothing without latencies."""
    found = [
        each
        for each in record.findings
        if isinstance(each, Latency) and any(own.counts for own in each.rounds)
    ]
    if not found:
        return ""
    height = (HEAD + PLOT + FOOT) * len(found) + 10
    drawing = Drawing(f"{record.title}: milliseconds by percentile", height)
    for number, each in enumerate(found):
        _plot(drawing, each, (HEAD + PLOT + FOOT) * number)
    return drawing.svg()


def _plot(drawing: Drawing, each: Latency, top: float) -> None:
    lines = [list(_points(each, number)) for number in range(len(each.rounds))]
    values = [value for line in lines for _, value in line]
    bounds = [(share, goal.bound) for share, goal in each.goals.items() if goal]
    y = _scale(values + [bound for _, bound in bounds], top + HEAD)
    void = ", void" if each.void else ""
    drawing.text((16, top + 22), f"{shortened(each.what, 80)}: ms by percentile{void}")
    bottom = top + HEAD + PLOT
    for share in SHARES:
        drawing.line((_x(share), top + HEAD), (_x(share), bottom), "grid")
        words = f"{100 * share:g} %" if share else "0"
        drawing.text((_x(share), bottom + 18), words, "middle", "faint")
    for tick in TICKS:
        if top + HEAD <= (at := y(tick)) <= bottom:
            drawing.line((LEFT, at), (WIDTH - RIGHT, at), "grid")
            drawing.text((LEFT - 8, at + 4), figure(tick), "end", "faint")
    for line in lines:
        drawing.path([(_x(share), min(y(value), bottom)) for share, value in line], "curve")
    for share, bound in bounds:
        drawing.line((_x(share) - 26, y(bound)), (min(_x(share) + 26, WIDTH - 8), y(bound)), "goal")


def _points(each: Latency, number: int) -> Iterator[tuple[float, float]]:
    own = each.rounds[number]
    for step in range(STEPS + 1) if own.counts else ():
        share = 1 - 10 ** (-3 * step / STEPS)
        if own.number * (1 - share) >= 1:  # beyond that it is the largest alone
            yield share, own.percentile(share)


def _x(share: float) -> float:
    """Each nine as wide as the one before."""
    return LEFT + (WIDTH - LEFT - RIGHT) * -math.log10(1 - share) / 3


def _scale(values: list[float], top: float) -> Callable[[float], float]:
    low, high = max(min(values), 0.05) / 1.3, max(values) * 1.3

    def y(value: float) -> float:
        return top + PLOT * (1 - math.log(max(value, 1e-3) / low) / math.log(high / low))

    return y
