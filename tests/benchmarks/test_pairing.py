"""Interleaving, ratios and what makes a run void."""

from __future__ import annotations

from statistics import median

import pytest

from benchmarks.frame.pairing import LIMIT, SUBJECT, Run, Turn, order
from tests.benchmarks.invented import a_run, a_slice


def test_limit_and_subject_take_turns() -> None:
    assert "".join(role[0] for role in order(6)) == "lssl" * 3


@pytest.mark.parametrize("pairs", [0, 1, 3, -2])
def test_a_subject_without_a_limit_on_either_side_is_refused(pairs: int) -> None:
    with pytest.raises(ValueError, match="in twos"):
        order(pairs)


def test_each_slice_is_held_against_the_limit_before_and_after_it() -> None:
    run = a_run(limits=[100, 200, 100, 300], subjects=[75, 150, 100, 50])
    assert run.ratios == [0.5, 1.0, 0.5, 0.25]


def test_a_drift_that_both_go_through_leaves_the_ratio() -> None:
    """Each slice is one in a hundred slower than the one before it."""
    run = a_run(limits=[100, 97, 96, 93], subjects=[59.4, 58.8, 57, 56.4])
    assert median(run.ratios) == pytest.approx(0.6, rel=1e-3)


def test_of_several_limits_the_slowest_of_the_turn_counts() -> None:
    limits = [{"a": a_slice(50), "b": a_slice(90)}, {"a": a_slice(70), "b": a_slice(40)}]
    turns = [Turn(LIMIT, limits[0]), Turn(SUBJECT, {"s": a_slice(45)}), Turn(LIMIT, limits[1])]
    assert Run(turns).limits == [50, 40]
    assert Run(turns).ratios == [1.0]


def test_a_limit_that_varies_by_more_than_a_tenth_makes_a_run_void() -> None:
    assert a_run([90, 110, 90, 110], [50] * 4).void == "the limit varied by 12%"
    assert a_run([92, 108, 92, 108], [50] * 4).void == ""


def test_a_subject_may_vary() -> None:
    assert a_run([100] * 4, [20, 90, 10, 150]).void == ""


def test_trouble_of_an_arm_makes_a_run_void() -> None:
    assert a_run([100] * 4, [50] * 4, "2 are missing").void == "2 are missing"


def test_a_run_that_broke_off_has_the_ratios_it_came_to() -> None:
    whole = a_run([100, 100, 100, 100], [50, 60, 70, 80])
    assert Run(whole.turns[:2], "broken").ratios == [0.5]
    assert Run([], "broken").ratios == []
    assert Run([], "broken").variation == 0


def test_processor_time_is_told_for_a_unit() -> None:
    run = a_run([1000] * 2, [500] * 2)
    assert run.microseconds("ours") == {"postgres": 400, "web": 1000}
    assert run.microseconds("bare") == {"postgres": 200, "web": 500}
    assert run.microseconds("nobody") == {}
