"""How arms are run, and how often."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.frame.arm import Standing, Void
from benchmarks.frame.comparison import Comparison, compare
from benchmarks.frame.goal import at_least
from benchmarks.frame.options import QUICK, Options
from tests.benchmarks.invented import Paced, a_comparison, a_run

OPTIONS = Options(pairs=2, seconds=1, warm_seconds=1, tries=4)


def compared(
    subject: list[float | Void], limit: list[float | Void], options: Options = OPTIONS
) -> tuple[Comparison, list[str]]:
    log: list[str] = []
    ours, bare = Paced("ours", *subject, log=log), Paced("bare", *limit, log=log)
    found = compare("ours", ours, [bare], options, lambda _: None, goal=at_least(0.6))
    return found, log


def test_both_are_started_warmed_run_in_turn_and_ended() -> None:
    _, log = compared([70], [100])
    assert log == [
        *("ours starts", "bare starts", "ours", "bare"),
        *("bare", "ours", "ours", "bare", "bare ends", "ours ends"),
    ]


def test_in_the_quick_form_each_arm_has_one_turn_and_none_for_warmth() -> None:
    found, log = compared([70], [100], QUICK)
    assert log == ["ours starts", "bare starts", "bare", "ours", "bare ends", "ours ends"]
    assert found.runs[0].ratios == [0.7]


def test_an_arm_that_stands_is_neither_started_nor_ended() -> None:
    log: list[str] = []
    ours, bare = Paced("ours", 70, log=log), Paced("bare", 100, log=log)
    with ours:
        for _ in range(2):
            found = compare("ours", Standing(ours), [bare], QUICK, lambda _: None)
            assert (found.subject, found.unit) == (ours.name, ours.unit)
    assert (log.count("ours starts"), log.count("ours"), log.count("ours ends")) == (1, 2, 1)


def test_a_run_that_is_steady_is_not_repeated() -> None:
    found, _ = compared([70], [100])
    assert len(found.runs) == 1
    assert [row.verdict for row in found.rows] == ["met"]


def test_a_void_run_is_repeated_and_kept() -> None:
    found, _ = compared([70], [100, 50, 100, 100, 100, 100])  # first comes a turn for warmth
    assert [bool(run.void) for run in found.runs] == [True, False]
    assert found.rows[0].verdict == "met"


def test_what_is_void_four_times_stays_void_with_its_numbers() -> None:
    found, log = compared([70], [100, 50, 150])
    assert len(found.runs) == 4
    assert all("the limit varied" in run.void for run in found.runs)
    [row] = found.rows
    assert row.verdict == "void"
    assert row.spread is not None
    assert log[-2:] == ["bare ends", "ours ends"]


def test_an_arm_that_lost_something_makes_the_run_void() -> None:
    found, _ = compared([70, 70, Void("2 are missing")], [100], replace(OPTIONS, tries=1))
    assert [run.void for run in found.runs] == ["2 are missing"]
    assert len(found.runs[0].turns) == 2
    assert found.rows[0].verdict == "void"


def test_an_arm_that_is_void_at_once_leaves_no_figure() -> None:
    found, _ = compared([Void("nothing came")], [100], replace(OPTIONS, tries=2))
    assert [run.void for run in found.runs] == ["nothing came"] * 2
    assert found.rows[0].spread is None
    assert found.rows[0].verdict == "void"


def test_arms_are_ended_when_one_fails() -> None:
    log: list[str] = []
    broken = Paced("bare", 100, log=log)
    broken.run = None  # type: ignore[assignment,method-assign]
    with pytest.raises(TypeError):
        compare("ours", Paced("ours", 1, log=log), [broken], OPTIONS, lambda _: None)
    assert log[-2:] == ["bare ends", "ours ends"]


@pytest.mark.parametrize(("goal", "verdict"), [(0.6, "met"), (0.8, "not met"), (None, "")])
def test_the_median_decides(goal: float | None, verdict: str) -> None:
    run = a_run([100] * 4, [50, 70, 70, 90])
    [row] = a_comparison(run, goal=goal).rows
    assert row.verdict == verdict
    assert row.spread is not None
    assert (row.spread.median, row.spread.least, row.spread.most) == (0.7, 0.5, 0.9)
    assert row.rates == {"ours": 70, "bare": 100}


def test_only_the_last_run_counts() -> None:
    [row] = a_comparison(a_run([100, 10, 100, 10], [1] * 4), a_run([100] * 4, [90] * 4)).rows
    assert row.spread is not None
    assert row.spread.median == 0.9
    assert row.void == ""
