"""A plot of everything that has a goal: how far on which side of it."""

from __future__ import annotations

import math
from collections.abc import Callable

from benchmarks.frame.goal import MET, MISSED, VOID, Goal
from benchmarks.frame.raw import Record
from benchmarks.frame.row import Row
from benchmarks.frame.table import figure
from benchmarks.report.drawing import WIDTH, Drawing, shortened

ROW, TOP, LEFT, RIGHT = 24, 46, 330, 110
"""Pixels: of a row, and beside the plot."""
LOOKS = {MET: "met", MISSED: "missed", VOID: "void"}
MARKS = (0.01, 0.1, 0.2, 0.5, 0.8, 1, 1.25, 1.5, 2, 5, 10, 100)
DECADES, NARROW = (0.01, 0.1, 1, 10, 100), 12


def goals(records: list[Record]) -> str:
    """The plot, or nothing if nothing with a goal was measured."""
    rows = [row for record in records for row in record.rows if row.goal and row.spread]
    if not rows:
        return ""
    drawing = Drawing("Each figure beside its goal", TOP + ROW * len(rows) + 40)
    drawing.text((16, 26), "Each figure beside its goal: to the right of the line it is reached")
    values = [share for row in rows for share in _shares(row)]
    low, high = min(0.8, *values) / 1.1, max(1.25, *values) * 1.1

    def x(share: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(share / low) / math.log(high / low)

    bottom = TOP + ROW * len(rows)
    # On a wide scale there is room for few of them, and 1 is always one.
    marks = MARKS if high / low < NARROW else [mark for mark in MARKS if mark in DECADES]
    for mark in marks:
        if low <= mark <= high:
            drawing.line((x(mark), TOP), (x(mark), bottom), "goal" if mark == 1 else "grid")
            drawing.text((x(mark), bottom + 18), f"{mark:g}", "middle", "faint")
    for number, row in enumerate(rows):
        _draw(drawing, row, TOP + ROW * (number + 0.5), x)
    return drawing.svg()


def _draw(drawing: Drawing, row: Row, y: float, x: Callable[[float], float]) -> None:
    if row.spread is None:
        return
    middle, *ends = _shares(row)
    look = LOOKS[row.verdict]
    drawing.text((16, y + 4), shortened(row.what, 46))
    drawing.line((x(min(ends)), y), (x(max(ends)), y), look)
    drawing.dot((x(middle), y), 4.5, look)
    told = f"{figure(row.spread.median)} {row.unit}"
    drawing.text((WIDTH - 16, y + 4), told, "end", "faint")


def _shares(row: Row) -> tuple[float, float, float]:
    """Median and interval, as a share of the goal that is better the more it is."""
    found, goal = row.spread, row.goal
    if found is None or goal is None:
        raise ValueError(f"{row.what} has no goal or no figure")
    return _share(found.median, goal), _share(found.low, goal), _share(found.high, goal)


def _share(value: float, goal: Goal) -> float:
    share = value / goal.bound if goal.at_least else goal.bound / max(value, goal.bound / 100)
    return min(max(share, 0.01), 100.0)
