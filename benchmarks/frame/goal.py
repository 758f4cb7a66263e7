"""What a figure is to reach."""

from __future__ import annotations

from dataclasses import dataclass

MET, MISSED, VOID = "met", "not met", "void"


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound, and on which side of it is good."""

    bound: float
    at_least: bool

    def verdict(self, value: float) -> str:
        return MET if (value >= self.bound if self.at_least else value <= self.bound) else MISSED

    def __str__(self) -> str:
        return f"at {'least' if self.at_least else 'most'} {self.bound:g}"


def at_least(bound: float) -> Goal:
    return Goal(bound, at_least=True)


def at_most(bound: float) -> Goal:
    return Goal(bound, at_least=False)
