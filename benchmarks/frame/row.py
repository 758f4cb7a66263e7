"""One judged figure, as the table and the page show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.frame.goal import VOID, Goal
from benchmarks.frame.spread import Spread


@dataclass(frozen=True, slots=True)
class Row:
    """What was found of one figure: of no value if nothing came of it."""

    what: str
    unit: str
    """Of the figure: `x` for a ratio, ms, queries/s."""
    goal: Goal | None
    """None for what is told beside the goals."""
    spread: Spread | None
    void: str = ""
    """Why it says nothing."""
    microseconds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Processor time for a unit, by arm and kind of process."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Units a second by arm."""

    @property
    def verdict(self) -> str:
        """Met, not met, void; nothing where there is no goal."""
        if self.void or self.spread is None:
            return VOID
        return self.goal.verdict(self.spread.median) if self.goal else ""
