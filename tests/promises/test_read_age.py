"""A reader sees what the replica has, and is told how old that is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from app.data_age import data_age
from outbox.routers import replica_reads
from tests.app.readers import TOKEN, ask, titles
from tests.factories import event
from tests.promises.by_hand import index, prepare_all, take_in
from tests.promises.replay import Replay, steered
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "replica"])


@pytest.fixture
def replay(transactional_db: None, settings: Any) -> Iterator[Replay]:
    """The replica stands still, with one Post."""
    settings.READ_TOKENS = [TOKEN]
    with steered() as replay:
        arrive("old")
        replay.pause()
        yield replay


def arrive(title: str) -> None:
    """The whole path of a delivery, up to the task."""
    message_id = take_in(event(source_id=title, title=title, at=0))
    prepare_all()
    assert index(message_id) == "done"


def age() -> float:
    return float(ask()["Data-Age"])


def test_a_new_post_is_shown_when_the_replica_has_it_and_the_age_tells_of_that(
    replay: Replay,
) -> None:
    arrive("new")
    assert titles() == titles(q="news") == ["old"]
    answer = ask("/posts/new/")
    assert answer.status_code == 404
    first = eventually(lambda: age() or None)  # once the replica has received what it lacks
    eventually(lambda: age() > first + 0.1)
    assert "Data-Age" in answer

    replay.resume()

    assert titles() == titles(q="news") == ["new", "old"]
    assert ask("/posts/new/").json()["title"] == "new"
    eventually(lambda: age() == 0)


def test_a_replica_that_has_all_is_current_however_long_nothing_happens(replay: Replay) -> None:
    replay.resume()
    with replica_reads():
        eventually(lambda: data_age("replica") == 0)
        with connections["replica"].cursor() as cursor:
            cursor.execute("SELECT clock_timestamp() - pg_last_xact_replay_timestamp()")
            [[since]] = cursor.fetchall()
    assert since.total_seconds() > 0


def test_the_age_is_the_primarys_where_the_primary_answers(replay: Replay, settings: Any) -> None:
    arrive("new")
    settings.OUTBOX = {**settings.OUTBOX, "REPLICA": None}
    assert titles() == ["new", "old"]
    assert age() == 0
