"""Tasks of one process run together; what may kill it runs alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from outbox.gate import Gate
from tests.waiting import eventually

SHORT = 0.2
LONG = 20.0


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


class Inside:
    """Threads that are in the gate until they are let go."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.now: list[str] = []
        self.go = threading.Event()

    def together(self) -> None:
        with self.gate.together():
            self._stay("together")

    def alone(self) -> bool:
        with self.gate.alone() as alone:
            self._stay("alone")
            return alone

    def _stay(self, how: str) -> None:
        self.now.append(how)
        assert self.go.wait(LONG)
        self.now.remove(how)


def test_several_are_inside_together(threads: ThreadPoolExecutor) -> None:
    inside = Inside(Gate(LONG))
    ended = [threads.submit(inside.together) for _ in range(3)]
    eventually(lambda: inside.now == ["together"] * 3)
    inside.go.set()
    assert [each.result(LONG) for each in ended] == [None] * 3


def test_one_alone_waits_for_the_others_and_the_next_wait_for_it(
    threads: ThreadPoolExecutor,
) -> None:
    gate = Gate(LONG)
    first, lonely, next_ = Inside(gate), Inside(gate), Inside(gate)
    threads.submit(first.together)
    eventually(lambda: first.now)
    was_alone = threads.submit(lonely.alone)
    eventually(lambda: gate._reserved_by)
    last = threads.submit(next_.together)
    assert (lonely.now, next_.now) == ([], [])
    first.go.set()
    eventually(lambda: lonely.now)
    assert next_.now == []
    lonely.go.set()
    eventually(lambda: next_.now)
    next_.go.set()
    last.result(LONG)
    assert was_alone.result(LONG)


def test_one_that_hangs_keeps_the_others_for_a_while_only(threads: ThreadPoolExecutor) -> None:
    gate = Gate(SHORT)
    hanging, other = Inside(gate), Inside(gate)
    hung = threads.submit(hanging.alone)
    eventually(lambda: hanging.now)
    other.go.set()
    threads.submit(other.together).result(LONG)
    hanging.go.set()
    assert hung.result(LONG)


def test_who_cannot_be_alone_in_time_is_told_and_holds_nothing(
    threads: ThreadPoolExecutor,
) -> None:
    gate = Gate(SHORT)
    hanging, other = Inside(gate), Inside(gate)
    hung = threads.submit(hanging.together)
    eventually(lambda: hanging.now)
    other.go.set()
    assert not threads.submit(other.alone).result(LONG)
    assert gate._reserved_by is None
    hanging.go.set()
    hung.result(LONG)


def test_nobody_waits_for_himself() -> None:
    gate = Gate(LONG)
    with gate.together(), gate.alone() as first, gate.together(), gate.alone() as second:
        assert first
        assert second
    with gate.alone() as again:
        assert again
