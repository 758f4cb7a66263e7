"""Slices of a limit and of what is held against it, taken in turn, and the ratios they give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from benchmarks.frame.arm import Slice
from benchmarks.frame.spread import variation

STEADY = 0.10
"""A run whose limit varies by more than this coefficient says nothing about the subject."""

LIMIT, SUBJECT = "limit", "subject"


def order(pairs: int) -> list[str]:
    """L S S L, again and again: what drifts drifts through both. Raises ValueError if odd."""
    if pairs < 2 or pairs % 2:
        raise ValueError(f"pairs come in twos, so that each has a limit on either side: {pairs}")
    return [LIMIT, SUBJECT, SUBJECT, LIMIT] * (pairs // 2)


@dataclass(frozen=True, slots=True)
class Turn:
    """One place in the order: a slice of each arm that stands there."""

    role: str
    slices: Mapping[str, Slice]
    """By the name of the arm. A limit may be several, of which the slowest counts."""

    @property
    def rate(self) -> float:
        return min(each.rate for each in self.slices.values())


@dataclass(frozen=True, slots=True)
class Run:
    """All turns of one measurement, in their order."""

    turns: Sequence[Turn]
    trouble: str = ""
    """What came out that had not gone in, or the other way round."""

    @property
    def limits(self) -> list[float]:
        """Rates of the limit."""
        return [turn.rate for turn in self.turns if turn.role == LIMIT]

    @property
    def subjects(self) -> list[float]:
        """Rates of the subject."""
        return [turn.rate for turn in self.turns if turn.role == SUBJECT]

    @property
    def variation(self) -> float:
        """The limit's coefficient of variation."""
        return variation(self.limits)

    @property
    def void(self) -> str:
        """Why it says nothing, or nothing if it does."""
        if self.trouble:
            return self.trouble
        if self.variation > STEADY:
            return f"the limit varied by {self.variation:.0%}"
        return ""

    @property
    def ratios(self) -> list[float]:
        """Each slice of the subject over the mean of the limit before it and after it."""
        return list(self._ratios())

    def _ratios(self) -> Iterator[float]:
        for place, turn in enumerate(self.turns):
            if turn.role == SUBJECT:
                before = (each.rate for each in reversed(self.turns[:place]) if each.role == LIMIT)
                after = (each.rate for each in self.turns[place:] if each.role == LIMIT)
                beside = [rate for rate in (next(before, None), next(after, None)) if rate]
                if beside:
                    yield turn.rate / fmean(beside)

    def microseconds(self, arm: str) -> dict[str, float]:
        """Medians of the processor time for a unit of an arm, by kind of process."""
        slices = [turn.slices[arm].microseconds for turn in self.turns if arm in turn.slices]
        kinds = {kind: None for each in slices for kind in each}
        return {kind: median(each.get(kind, 0.0) for each in slices) for kind in kinds}
