"""The figures of some lines in a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.frame.row import Row

TITLES = ("what", "goal", "median", "least", "most", "95 %", "", "us of processor a unit")


def table(rows: list[Row]) -> list[str]:
    """One line for each figure, and under it what its processors did and why it is void."""
    cells = [_cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(TITLES, *cells, strict=True)]
    lines = [_line(TITLES, widths)]
    for row, own in zip(rows, cells, strict=True):
        lines.append(_line(own, widths))
        lines += [f"    {name}: {rate:,.0f}/s" for name, rate in row.rates.items()]
        if row.void:
            lines.append(f"    void: {row.void}")
    return lines


def figure(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def processor(kinds: Mapping[str, float]) -> str:
    """Microseconds by kind of process, the large ones first."""
    ordered = sorted(kinds.items(), key=lambda each: -each[1])
    return ", ".join(f"{kind} {figure(own)}" for kind, own in ordered if own >= 0.05)


def _cells(row: Row) -> tuple[str, ...]:
    found = row.spread
    goal = str(row.goal) if row.goal else ""
    if found is None:
        return (row.what, goal, "", "", "", "", row.verdict, "")
    subject = next(iter(row.microseconds.values()), {})
    return (
        row.what,
        goal,
        f"{figure(found.median)} {row.unit}",
        figure(found.least),
        figure(found.most),
        f"{figure(found.low)} to {figure(found.high)}",
        row.verdict,
        processor(subject),
    )


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
