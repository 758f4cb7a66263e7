"""How long and how often is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """For a figure that is to be kept; `QUICK` only sees whether everything works."""

    pairs: int = 6
    seconds: float = 10.0
    """For a slice."""
    warm_seconds: float = 3.0
    """Worked for nothing before the first slice, by each arm; none at 0."""
    tries: int = 4
    """The first, and three repetitions of a run that was void."""
    quick: bool = False
    """Whether a line is to leave out what is long: millions of rows, minutes of waiting, and slices
    beyond one of each arm."""


FULL = Options()
QUICK = Options(pairs=1, seconds=0.3, warm_seconds=0.0, tries=1, quick=True)
