"""The stages of deliveries as people read them: how many, and how long each took."""

from __future__ import annotations

import math
from collections.abc import Sequence

Stage = tuple[str, Sequence[float]]
"""What happens in it, and the seconds that each delivery took."""


def table(stages: Sequence[Stage]) -> list[str]:
    """One line a stage: count, median and 99th percentile, in milliseconds."""
    rows = [("stage", "count", "p50", "p99")]
    for name, seconds in stages:
        middle, slow = (_shown(percentile(seconds, percent)) for percent in (50, 99))
        rows.append((name, f"{len(seconds):,}", middle, slow))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        f"  {name:<{widths[0]}}  {count:>{widths[1]}}  {middle:>{widths[2]}}  {slow:>{widths[3]}}"
        for name, count, middle, slow in rows
    ]


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that so many percent are not above (nearest rank); None of nothing."""
    if not values:
        return None
    return sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]


def _shown(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.0f} ms"
