"""What excuses a message counts once, and within its life only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.promises.lateness import Span, overlap


def span(since: int, until: int) -> Span:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    return start + timedelta(seconds=since), start + timedelta(seconds=until)


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 0),
        ([(0, 5)], 0),
        ([(25, 30)], 0),
        ([(5, 12)], 2),
        ([(18, 30)], 2),
        ([(0, 30)], 10),
        ([(11, 13), (15, 16)], 3),
        ([(15, 16), (11, 13)], 3),
        ([(11, 15), (12, 13)], 4),
        ([(11, 15), (13, 17)], 6),
    ],
    ids=str,
)
def test_the_excused_part_of_a_life_counts_once(spans: list[tuple[int, int]], seconds: int) -> None:
    excused = overlap(span(10, 20), [span(*each) for each in spans])
    assert excused == timedelta(seconds=seconds)
