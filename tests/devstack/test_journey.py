from __future__ import annotations

from dataclasses import replace

from deploy.devstack.journey import Journey, Sighting, lines, table, verdict


def said(journey: Journey) -> str:
    """The verdict without its line breaks."""
    return " ".join(" ".join(verdict(journey)).split())


NOTHING = Sighting(at=-0.01, post=False)
LATE = [
    NOTHING,
    Sighting(at=2.018, post=True),
    Sighting(at=2.024, post=True, categories=2, tags=3),
]
JOURNEY = Journey(
    received=0.004,
    answered=0.008,
    ready=0.021,
    dispatched=0.027,
    done=0.040,
    categories=2,
    tags=3,
    sightings=LATE,
    watched=2.1,
)


def test_the_table_gives_each_stage_its_time_and_what_the_replica_held() -> None:
    rows = table(JOURNEY)

    for row, time, stage in zip(
        rows[1:],
        ("+8 ms", "+21 ms", "+27 ms", "+40 ms"),
        ("answered 202", "ready", "dispatched", "done"),
        strict=True,
    ):
        assert time in row
        assert stage in row
        assert row.endswith("no Post")


def test_the_columns_of_the_table_are_aligned() -> None:
    starts = {row.index("no Post") for row in table(JOURNEY)[1:]}

    assert len(starts) == 1


def test_everything_fits_a_terminal_of_eighty_columns() -> None:
    assert max(map(len, lines(JOURNEY))) <= 80


def test_a_broker_that_does_not_confirm_is_not_said_to() -> None:
    assert "confirmed" in " ".join(table(JOURNEY))
    assert "confirmed" not in " ".join(table(replace(JOURNEY, confirms=False)))


def test_thousands_of_milliseconds_are_grouped() -> None:
    assert "+12,345 ms" in table(replace(JOURNEY, done=12.345))[-1]


def test_a_replica_that_lags_is_told_with_its_measured_delay_and_what_it_means() -> None:
    told = said(JOURNEY)

    assert "saw the Post 2.01 s after it was received" in told
    assert "its categories and tags 2.00 s after ready" in told
    assert "no Post at all" in told
    assert "reads the primary" in told


def test_half_a_post_on_the_replica_is_called_that() -> None:
    half = [
        NOTHING,
        Sighting(at=0.012, post=True),
        Sighting(at=0.09, post=True, categories=2, tags=3),
    ]
    journey = replace(JOURNEY, sightings=half)

    assert table(journey)[-1].endswith("Post, no categories, no tags")
    assert "half a Post" in said(journey)


def test_a_replica_that_was_fast_enough_is_called_luck() -> None:
    fast = [NOTHING, Sighting(at=0.010, post=True, categories=2, tags=3)]
    told = said(replace(JOURNEY, sightings=fast))

    assert "6 ms after it was received, with its categories and tags" in told
    assert "luck" in told


def test_a_replica_that_never_showed_the_post_is_told_with_the_time_watched() -> None:
    told = said(replace(JOURNEY, sightings=[NOTHING], watched=12.0))

    assert "no Post when the watch ended, after 12.0 s" in told


def test_without_a_replica_the_table_says_nothing_of_one() -> None:
    journey = replace(JOURNEY, sightings=None)

    assert "no Post" not in " ".join(table(journey))
    assert "replica" not in " ".join(table(journey))
    assert "no replica" in said(journey)


def test_a_replica_that_cannot_be_watched_is_no_failure() -> None:
    journey = JOURNEY.seen_by([], watched=0.0, error="connection refused")

    assert "connection refused" in " ".join(lines(journey))


def test_one_of_a_kind_is_counted_in_the_singular() -> None:
    assert str(Sighting(at=0, post=True, categories=1, tags=1)) == "Post, 1 category, 1 tag"
