"""How long each of many took, under a load that does not wait for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.frame.goal import Goal
from benchmarks.frame.row import Row
from benchmarks.frame.samples import Samples
from benchmarks.frame.spread import spread


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of every round, each with a goal of its own or none."""

    what: str
    goals: Mapping[float, Goal | None]
    """Milliseconds by share: ``{0.5: at_most(3), 0.99: at_most(12)}``."""
    rounds: Sequence[Samples]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What somebody must know who wants to repeat it: the rate of the load above all."""
    void: str = ""
    """Why it says nothing."""

    @property
    def rows(self) -> list[Row]:
        """One for each percentile."""
        rounds = [each for each in self.rounds if each.counts]
        return [
            Row(
                f"{self.what}, p{100 * share:g}",
                "ms",
                goal,
                spread([each.percentile(share) for each in rounds]) if rounds else None,
                self.void,
            )
            for share, goal in self.goals.items()
        ]
