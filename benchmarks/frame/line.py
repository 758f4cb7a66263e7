"""One line of what is judged: a module in benchmarks/judged/ whose `LINE` is one of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.frame.comparison import Comparison, Say
from benchmarks.frame.latency import Latency
from benchmarks.frame.options import Options
from benchmarks.frame.quantity import Quantity
from benchmarks.frame.stage import Stage

Finding = Comparison | Latency | Quantity


@dataclass(frozen=True, slots=True)
class Line:
    """A promise of speed, and how to see whether it is kept."""

    number: int
    """Its place in the table; what is told beside the goals stands behind them."""
    name: str
    """For `--only`, and of the folder of its raw data: lower case, hyphens."""
    title: str
    """A sentence for readers: what is compared with what."""
    measure: Callable[[Stage, Options, Say], Iterator[Finding]]
    """Gives each finding as soon as it has it. `Say` takes a line of progress."""
    peers: bool = False
    """Whether it needs the environments that `make bench-peers` sets up."""
