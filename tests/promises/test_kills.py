"""Processes that die with work in hand, over and over: each delivery is done once, and soon."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from tests import senders
from tests.killer import NAMES, Killer
from tests.promises.lateness import expect_none_late
from tests.senders import Senders
from tests.service import running
from tests.sql import query
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

ON_FILES = os.environ.get("CELERY_BROKER_URL", "").startswith("filesystem")
# Rounds, deliveries at least, and lease and re-dispatch time in seconds. On files a worker takes
# four messages a second, and copies of what waits would pile up.
FEW = (1, 10, 2, 2) if ON_FILES else (1, 60, 2, 2)
MANY = (3, 100, 12, 4) if ON_FILES else (20, 2000, 12, 4)
PAUSE_SECONDS = 1.3 if ON_FILES else 0.1
PATIENCE_SECONDS = 90.0


@pytest.mark.parametrize(
    ("rounds", "number", "lease", "redispatch"),
    [pytest.param(*FEW, id="few"), pytest.param(*MANY, id="many", marks=pytest.mark.slow)],
)
def test_whatever_is_killed_each_accepted_delivery_takes_effect_exactly_once(
    effects: None, tmp_path: Path, rounds: int, number: int, lease: int, redispatch: int
) -> None:
    environment = {
        "OUTBOX_LEASE_SECONDS": str(lease),
        "OUTBOX_REDISPATCH_SECONDS": str(redispatch),
        "OUTBOX_PUBLISH_SECONDS": str(lease // 2),
    }
    with (
        running(tmp_path, **environment) as service,
        Senders(service, threads=4, pause=PAUSE_SECONDS) as sending,
    ):
        killer = Killer(service, lease=lease)
        for turn in range(rounds):
            for name in NAMES:
                # Every second time at any moment: after a commit, too, and before its answer.
                killer.strike(name, busy=under_way(name, sending) if turn % 2 else None)
                killer.revive(name)
        sending.finish(number, 60)
        left = "SELECT id, state, attempts, sends, suspect, last_error FROM outbox_message"
        with suppress(AssertionError):
            eventually(lambda: not query(left), PATIENCE_SECONDS)
        assert query(left) == []
        killer.wait_until_ready()

    assert Counter(blow.name for blow in killer.blows) == dict.fromkeys(NAMES, rounds)
    assert sending.unanswered > 0  # the web server was down meanwhile
    expect_each_done_once(sending.accepted)
    expect_newest_versions(sending.accepted)
    expect_none_late(killer, lease=lease, redispatch=redispatch)


def under_way(name: str, sending: Senders) -> Callable[[], object] | None:
    """Whether there is work for a process in which it can be anywhere, seen from outside."""
    sent = "SELECT id FROM outbox_message WHERE state = 'dispatched' LIMIT 1"
    return {"web": lambda: sending.under_way, "worker": lambda: query(sent)}.get(name)


def expect_each_done_once(accepted: dict[int, str]) -> None:
    """Three ledgers agree: what the senders were told, what is stored, what took effect."""
    assert query("SELECT count(*) FROM app_delivery") == [(len(accepted),)]
    assert dict(query("SELECT webhook_id, message_id FROM app_delivery")) == {
        senders.webhook_id(number): UUID(given) for number, given in accepted.items()
    }
    once = dict.fromkeys((UUID(given) for given in accepted.values()), 1)
    assert Counter(row[0] for row in query("SELECT id FROM outbox_history")) == once
    assert Counter(row[0] for row in query("SELECT message_id FROM effect")) == once
    assert Counter(row[0] for row in query("SELECT source_id FROM effect")) == Counter(
        map(senders.source_id, accepted)
    )


def expect_newest_versions(accepted: dict[int, str]) -> None:
    posts = query("""
        SELECT p.source_id, p.title, p.source_event,
               array(SELECT name FROM app_category AS c JOIN app_post_categories AS l
                     ON l.category_id = c.id WHERE l.post_id = p.id),
               array(SELECT name FROM app_tag AS t JOIN app_post_tags AS l
                     ON l.tag_id = t.id WHERE l.post_id = p.id ORDER BY name),
               tsvector_to_array(p.search_vector)
        FROM app_post AS p
    """)
    newest = {senders.source_id(number): number for number in sorted(accepted)}
    assert {post: (*row, set(words)) for post, *row, words in posts} == {
        post: (
            *(f"title{n}", f"msg_{n}", ["news"], ["common", f"tag{n}"]),
            {f"title{n}", "a", "body", "news", "common", f"tag{n}"},
        )
        for post, n in newest.items()
    }
