"""`python -m benchmarks` with a single line, which takes no time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager

import benchmarks.__main__ as command
from benchmarks.frame.arm import Slice
from benchmarks.frame.comparison import Say, compare
from benchmarks.frame.goal import at_least, at_most
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.quantity import Quantity
from benchmarks.frame.stage import Stage


class Counting(AbstractContextManager["Counting"]):
    """Has the database count."""

    unit = "answer"

    def __init__(self, stage: Stage, number: int) -> None:
        self.name = f"counting to {number}"
        self.settings = {"number": number}
        self._stage = stage

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, seconds: float) -> Slice:
        with self._stage.meter(rest=[os.getpid()]).turn() as turn:
            for _ in range(3):
                self._stage.execute(
                    "SELECT count(*) FROM generate_series(1, %s)", self.settings["number"]
                )
        return turn.slice(3)


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    stage.settle()
    few, many = Counting(stage, 100), Counting(stage, 10_000)
    yield compare("counting", few, [many], options, say, goal=at_least(0.1))
    with stage.another_database("benchmark_other") as url:
        connection = stage.connect(url)
        cursor = connection.cursor()
        cursor.execute("SELECT current_database()")
        if cursor.fetchone() != ("benchmark_other",):
            raise RuntimeError(f"{url} is another database")
        connection.close()
    stage.execute("INSERT INTO app_tag (name) VALUES ('left')")
    yield Quantity("rows that were inserted", "rows", [_rows(stage)])
    yield Quantity("rows that were left", "rows", [_rows(stage)], at_most(0))


def _rows(stage: Stage) -> float:
    return float(stage.execute("SELECT count(*) FROM app_tag")[0][0])


LINE = Line(1, "one", "counting to a hundred against counting to ten thousand", measure)

if __name__ == "__main__":
    command.all_lines = lambda: [LINE]
    sys.exit(command.main())
