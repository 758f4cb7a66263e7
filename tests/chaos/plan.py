"""Which faults come, in which order and after which waits: the seed alone decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault to be made: `delay` seconds after its step begins, lasting `lasting` seconds.

    `which` chooses among processes of one kind: 0 or 1, or 2 for both.
    """

    kind: str
    which: int
    delay: float
    lasting: float


@dataclass(frozen=True, slots=True)
class Step:
    """Faults that are made together, after a wait in seconds."""

    wait: float
    faults: tuple[Planned, ...]


def steps(seed: int, kinds: Sequence[str], pace: float) -> Iterator[Step]:
    """Rounds without end: each kind alone, then all of them again in twos and threes.

    `pace` shortens waits and faults alike, for a run that has less time.
    """
    random = Random(f"faults {seed}")
    while True:
        for kind in random.sample(kinds, len(kinds)):
            yield Step(_wait(random, pace), (_planned(random, kind, pace),))
        rest = random.sample(kinds, len(kinds))
        while rest:
            together = [rest.pop() for _ in range(min(len(rest), random.choice((2, 3))))]
            faults = tuple(_planned(random, kind, pace) for kind in together)
            yield Step(_wait(random, pace), faults)


def _wait(random: Random, pace: float) -> float:
    return round(random.uniform(0.5, 3.0) * pace, 2)


def _planned(random: Random, kind: str, pace: float) -> Planned:
    # Now shorter and now longer than the leases of a run.
    lasting = random.choice((random.uniform(0.1, 1.0), random.uniform(1.0, 7.0)))
    which = random.choices((0, 1, 2), (4, 4, 2))[0]
    return Planned(kind, which, round(random.uniform(0.0, 1.5) * pace, 2), round(lasting * pace, 2))
