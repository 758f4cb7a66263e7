"""A figure that is no ratio: queries a second, a share of a core, bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.frame.goal import Goal
from benchmarks.frame.row import Row
from benchmarks.frame.spread import spread


@dataclass(frozen=True, slots=True)
class Quantity:
    """One value for each round that it was measured in."""

    what: str
    unit: str
    rounds: Sequence[float]
    goal: Goal | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What somebody must know who wants to repeat it."""
    void: str = ""
    """Why it says nothing."""

    @property
    def rows(self) -> list[Row]:
        found = spread(self.rounds) if self.rounds else None
        return [Row(self.what, self.unit, self.goal, found, self.void)]
