"""A plot of what the arms of a line's comparisons did in a second."""

from __future__ import annotations

from statistics import median

from benchmarks.frame.comparison import Comparison
from benchmarks.frame.raw import Record
from benchmarks.frame.table import figure
from benchmarks.report.drawing import WIDTH, Drawing, shortened

BAR, GAP, HEAD, LEFT, RIGHT = 18, 8, 30, 230, 80
"""Pixels: of a bar, between two, of a heading, and beside the bars."""


def rates(record: Record) -> str:
    """Bars of the medians with a dot for each slice, or nothing if nothing was compared."""
    found = [each for each in record.findings if isinstance(each, Comparison)]
    groups = [(each, own) for each in found if (own := _slices(each))]
    if not groups:
        return ""
    height = sum(HEAD + (BAR + GAP) * len(own) for _, own in groups) + 24
    drawing = Drawing(f"{record.title}: units a second", height)
    y = 12.0
    for each, own in groups:
        void = ", void" if each.runs[-1].void else ""
        drawing.text((16, y + 16), f"{shortened(each.what, 80)}: {each.unit}s a second{void}")
        y = _bars(drawing, each, own, y + HEAD)
    return drawing.svg()


def _bars(drawing: Drawing, each: Comparison, own: dict[str, list[float]], y: float) -> float:
    """One below the other, on one scale; the place below them."""
    most = max(max(values) for values in own.values())
    scale = (WIDTH - LEFT - RIGHT) / most
    for arm, values in own.items():
        middle = median(values)
        drawing.text((LEFT - 10, y + 13), shortened(arm, 32), "end")
        drawing.rectangle((LEFT, y), middle * scale, BAR, "ours" if arm == each.subject else "bar")
        for value in values:
            drawing.dot((LEFT + value * scale, y + BAR / 2), 2, "dot")
        drawing.text((WIDTH - 16, y + 13), figure(middle), "end", "faint")
        y += BAR + GAP
    return y


def _slices(each: Comparison) -> dict[str, list[float]]:
    """Rates by arm."""
    turns = each.runs[-1].turns
    arms = [each.subject, *each.limits]
    found = {arm: [own.slices[arm].rate for own in turns if arm in own.slices] for arm in arms}
    return {arm: own for arm, own in found.items() if own}
