"""Medians, intervals, percentiles."""

from __future__ import annotations

import random
from statistics import median

import pytest

from benchmarks.frame.goal import at_least, at_most
from benchmarks.frame.samples import Samples
from benchmarks.frame.spread import spread, variation


def test_a_spread_has_the_middle_and_the_ends() -> None:
    found = spread([5, 1, 3, 4, 2])
    assert (found.median, found.least, found.most) == (3, 1, 5)
    assert 1 <= found.low <= 3 <= found.high <= 5


def test_the_interval_is_the_same_whenever_it_is_computed() -> None:
    values = [0.5, 0.61, 0.58, 0.6, 0.66, 0.4]
    assert spread(values) == spread(list(values))


def test_the_interval_holds_the_truth_19_times_of_20() -> None:
    chance = random.Random(1)
    draws = [[chance.gauss(10, 1) for _ in range(9)] for _ in range(30)]
    held = [own.low <= 10 <= own.high for own in map(spread, draws)]
    assert 26 <= sum(held) <= 30
    assert median(spread(own).high - spread(own).low for own in draws) < 3


def test_nothing_has_no_spread() -> None:
    with pytest.raises(ValueError, match="no values"):
        spread([])


def test_the_variation_is_deviation_over_mean() -> None:
    assert variation([90, 110]) == pytest.approx(0.1414, abs=1e-4)
    assert variation([100]) == variation([]) == 0


def test_a_percentile_is_the_least_time_that_so_many_keep_to() -> None:
    samples = Samples.of_seconds(n / 1000 for n in range(1, 101))
    assert [samples.percentile(share) for share in (0.0, 0.01, 0.07, 0.5, 0.99, 1.0)] == [
        1, 1, 7, 50, 99, 100,
    ]  # fmt: skip


def test_no_samples_have_no_percentile() -> None:
    with pytest.raises(ValueError, match="no samples"):
        Samples({}).percentile(0.5)


def test_samples_keep_three_digits_and_their_number() -> None:
    samples = Samples.of_seconds([0.00123456, 0.0012349, 0.0000004, 12.34567])
    assert samples.counts == {0.0: 1, 1.23: 2, 12_300.0: 1}
    assert samples.number == 4


def test_what_is_kept_of_many_samples_is_small_and_right_to_half_a_percent() -> None:
    chance = random.Random(2)
    seconds = [chance.expovariate(200) for _ in range(20_000)]
    samples = Samples.of_seconds(seconds)
    assert len(samples.counts) < 3_000
    for share in (0.5, 0.99):
        exact = 1e3 * sorted(seconds)[round(share * len(seconds)) - 1]
        assert samples.percentile(share) == pytest.approx(exact, rel=0.006)


def test_a_goal_is_met_at_its_bound_and_on_one_side_of_it() -> None:
    assert [at_least(0.6).verdict(each) for each in (0.59, 0.6, 9)] == ["not met", "met", "met"]
    assert [at_most(3).verdict(each) for each in (2, 3, 3.01)] == ["met", "met", "not met"]
    assert (str(at_least(0.9)), str(at_most(12))) == ("at least 0.9", "at most 12")
