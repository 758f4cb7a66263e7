from __future__ import annotations

import pytest

from deploy.devstack.demo.report import stages
from deploy.devstack.demo.stages import percentile, table
from deploy.devstack.demo.writers import Call


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        (range(1, 101), 50, 50),
        (range(1, 101), 99, 99),
        (range(1, 101), 100, 100),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([3.0, 1.0, 2.0], 99, 3.0),
        ([7.0], 1, 7.0),
        ([1.0, 2.0], 0, 1.0),
    ],
)
def test_a_percentile_is_the_nearest_rank(
    values: list[float], percent: float, expected: float
) -> None:
    assert percentile(values, percent) == expected


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 50) is None


def test_the_table_has_count_median_and_the_slowest_of_each_stage() -> None:
    rows = table([("stored", [0.010] * 99 + [1.5] * 2), ("done", [])])

    assert [row.split() for row in rows] == [
        ["stage", "count", "p50", "p99"],
        ["stored", "101", "10", "ms", "1,500", "ms"],
        ["done", "0", "-", "-"],
    ]
    assert len({len(row) for row in rows}) == 1


def test_the_stages_fit_a_terminal_of_eighty_columns() -> None:
    call = Call("POST", "p", "w", 0.1, 50.0)
    rows = table(stages([call], {"w": (1000.0, 0)}, {"w": (0.0, 1000.0, 2000.0, 3000.0)}, 0.0))

    assert max(map(len, rows)) <= 80


def test_each_stage_has_its_own_seconds() -> None:
    calls = [
        Call("POST", "one", "w1", seconds=0.1, answered_at=1000.0),
        Call("PUT", "one", "w2", seconds=0.2, answered_at=1001.0),
        Call("PUT", "one", "w3", seconds=0.3, answered_at=1002.0),
    ]
    delivered = {"w1": (0.5, 0), "w2": (4.0, 2)}
    # Their clock is ten seconds ahead of ours.
    taken_in = {"w1": (1010.0, 1011.0, 1013.0, 1017.0), "w2": (1010.0, 1010.0, 1010.5, 1010.5)}

    found = dict(stages(calls, delivered, taken_in, clock_ahead=10.0))

    assert list(found.values()) == [
        [0.1, 0.2, 0.3],
        [0.5, 4.0],
        [1.0, 0.0],
        [2.0, 0.5],
        [4.0, 0.0],
        [7.0, 0.0],  # the second was done before its caller had the answer
    ]
