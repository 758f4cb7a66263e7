"""Seconds of processor time, read from /proc: whose work it was.

Times are exact to a tick of 10 ms for each process, so that a turn of a second is exact to 1 %.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.frame.arm import Slice, Void

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
TRIES = 20


@dataclass(frozen=True, slots=True)
class Used:
    """What a process has used since it started, and who started it."""

    parent: int
    seconds: float
    """With what children have used that have ended and were waited for."""


class Meter:
    """Adds up processor time by kind of process.

    A kind is given by pids: each counts with its descendants, those that have ended among them
    (PostgreSQL's postmaster waits for its backends, so that none of theirs is lost). A descendant
    that a kind of its own names counts there alone; it must live for as long as it is measured, or
    what it used moves over to the one who waited for it.
    """

    def __init__(self, kinds: Mapping[str, Iterable[int]]) -> None:
        self._kind_of = {pid: kind for kind, pids in kinds.items() for pid in pids}

    def read(self) -> dict[str, float]:
        """Seconds by kind since the start of each. Raises Void if one named has ended."""
        processes = _steady_snapshot()
        if gone := self._kind_of.keys() - processes.keys():
            kinds = sorted({self._kind_of[pid] for pid in gone})
            raise Void(f"ended while it was measured: {', '.join(kinds)}")
        seconds = dict.fromkeys(self._kind_of.values(), 0.0)
        for pid, used in processes.items():
            if kind := self._kind(pid, processes):
                seconds[kind] += used.seconds
        return seconds

    def _kind(self, pid: int, processes: Mapping[int, Used]) -> str | None:
        """That of the nearest ancestor that has one."""
        while pid in processes:
            if kind := self._kind_of.get(pid):
                return kind
            pid = processes[pid].parent
        return None

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Measure a block: time on the wall and on processors, both complete when it is left."""
        turn = Turn()
        before, began = self.read(), time.monotonic()
        yield turn
        turn.seconds = time.monotonic() - began
        after = self.read()
        turn.processor = {kind: after[kind] - before[kind] for kind in after}


@dataclass(slots=True)
class Turn:
    """What a measured block took."""

    seconds: float = 0.0
    processor: dict[str, float] = field(default_factory=dict)

    def slice(self, units: int, **told: float) -> Slice:
        """As a result of an arm. Raises Void of nothing done."""
        if units <= 0:
            raise Void("nothing was done")
        return Slice(units, self.seconds, self.processor, told)


def _steady_snapshot() -> dict[int, Used]:
    """All processes at one moment: no child has passed its time on to its parent meanwhile."""
    before = _snapshot()
    for _ in range(TRIES):
        after = _snapshot()
        if after.keys() == before.keys():
            break
        before = after
    return after


def _snapshot() -> dict[int, Used]:
    return {
        int(entry.name): used
        for entry in os.scandir("/proc")
        if entry.name.isdigit() and (used := _used(int(entry.name)))
    }


def _used(pid: int) -> Used | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it has ended meanwhile
        return None
    # The name in brackets may hold anything; after it: state, parent, ..., utime, stime, cutime.
    fields = stat.rpartition(")")[2].split()
    return Used(int(fields[1]), sum(map(int, fields[11:15])) * TICK_SECONDS)
