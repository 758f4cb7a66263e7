"""6: the relay while another transaction holds the horizon, so that nothing dead can go away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from benchmarks.frame.comparison import Comparison, Say, compare
from benchmarks.frame.goal import at_least
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.quantity import Quantity
from benchmarks.frame.stage import Stage
from benchmarks.growth import rows
from benchmarks.growth.crew import crew
from benchmarks.growth.drain import Drain
from benchmarks.growth.holder import Holder, Holding
from benchmarks.growth.place import Place, place
from benchmarks.growth.tray import Tray

DURING, AFTER = at_least(0.92), at_least(0.98)
MINUTES = 10
AFTER_SECONDS = 30.0
BURST_SECONDS = 1.0
"""A slice must not make many dead rows itself, and fit into the window of a queue."""
SINGLES, FEW_SINGLES = 20, 3
WINDOW = {"OUTBOX_MAX_IN_FLIGHT": "10000"}
"""As it is by default: how often the relay counts what is in flight depends on it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same work in two databases, one of which cannot be cleaned up."""

    held: Drain
    free: Drain

    def compare(self, what: str, options: Options, say: Say, during: bool = True) -> Comparison:
        goal = DURING if during else AFTER
        return compare(what, self.held, [self.free], options, say, goal=goal)

    def single(self, what: str, options: Options) -> Iterator[Quantity]:
        """Milliseconds from the commit of a message that is alone to its mark."""
        number = FEW_SINGLES if options.quick else SINGLES
        for arm in (self.held, self.free):
            taken = [1e3 * arm.run(0).seconds for _ in range(number)]
            yield Quantity(f"{what}, {arm.name}", "ms", taken)


@contextmanager
def pair(free: Place, own: Place) -> Iterator[Pair]:
    """With a relay for each database."""
    with ExitStack() as stack:
        arms = []
        for name, where in (("horizon held", own), ("horizon free", free)):
            tray = stack.enter_context(Tray(where.name))
            relays = stack.enter_context(crew(where, 1, **WINDOW))
            arms.append(Drain(name, where, relays, tray))
        yield Pair(*arms)


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    for holder in (Holder.SNAPSHOT,) if options.quick else Holder:
        with place(stage, "benchmark_free") as free, place(stage, "benchmark_held") as own:
            yield from _aged(free, own, holder, options, say)


def _aged(free: Place, own: Place, holder: Holder, options: Options, say: Say) -> Iterator[Finding]:
    """The dead rows of ten minutes, made in one."""
    lives = 2_000 if options.quick else 60 * MINUTES * rows.FLOW
    short = replace(options, seconds=min(options.seconds, BURST_SECONDS))
    with ExitStack() as stack:
        holding = stack.enter_context(Holding(own, holder))
        for where in (own, free):
            with where.cursor() as cursor:
                rows.live(cursor, lives, where.name)
                cursor.execute("VACUUM (ANALYZE) outbox_message")
        both = stack.enter_context(pair(free, own))
        yield both.compare(f"relay while {holder} holds the horizon", short, say)
        yield from both.single(f"a message alone beside {holder}", options)
        holding.end()
        time.sleep(0.0 if options.quick else AFTER_SECONDS)
        yield both.compare(f"relay {AFTER_SECONDS:.0f} s after {holder}", short, say, during=False)
        yield from both.single(f"a message alone {AFTER_SECONDS:.0f} s after {holder}", options)


LINE = Line(6, "horizon", "the relay while another transaction holds the xmin horizon", measure)
