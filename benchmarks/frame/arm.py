"""What is measured: something that does units of work for a while."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, Self


class Void(Exception):
    """What came out is not what went in, so that nothing was measured."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One turn of an arm."""

    units: int
    """Done in it, and found to be done."""
    seconds: float
    """That it took."""
    processor: Mapping[str, float] = field(default_factory=dict)
    """Seconds of processor time that its units took, by kind of process: postgres, web, ..."""
    told: Mapping[str, float] = field(default_factory=dict)
    """What else was counted, by name."""

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.seconds

    @property
    def microseconds(self) -> dict[str, float]:
        """Microseconds of processor time for a unit, by kind of process."""
        return {kind: 1e6 * own / self.units for kind, own in self.processor.items()}


class Arm(AbstractContextManager["Arm"], Protocol):
    """One of the two that are compared. Entering it starts what it needs, leaving it ends that."""

    name: str
    """What a reader calls it."""
    unit: str
    """What it does many of: accepted webhook, dispatched row, filled Post."""
    settings: Mapping[str, Any]
    """What somebody must know who wants to repeat it: versions, batch sizes, options."""

    def run(self, seconds: float) -> Slice:
        """Work for about so long, from a fresh start. Raises `Void`."""


class Standing:
    """An arm that was entered already and stays so: it is in several comparisons, or used after."""

    def __init__(self, arm: Arm) -> None:
        self.name, self.unit, self.settings = arm.name, arm.unit, arm.settings
        self.run = arm.run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Whoever has entered it leaves it."""
