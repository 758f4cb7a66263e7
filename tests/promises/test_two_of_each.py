"""Two post-processors and three relays at once: no deadlock, exclusive claims, all done once."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.change import Change
from app.payload import Event
from deploy.devstack.process import Process
from tests.factories import EPOCH
from tests.gate import CLAIM, closed, wait_for_sessions_at
from tests.promises.claims import FOREIGN_ENDS, LEDGER, NO_LEDGER, OVERLAPPING, claimants, named
from tests.promises.counted_effects import store_ready
from tests.promises.siblings import at_work, sibling, wait_for_sessions
from tests.service import running
from tests.sql import count, query
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

# On files a worker takes a few messages a second.
ON_FILES = os.environ.get("CELERY_BROKER_URL", "").startswith("filesystem")
FEW = 100 if ON_FILES else 300
NO_HOST = "No hostname was supplied"
"""What kombu says of a broker that is a folder."""

POSTPROCESSORS, RELAYS = 2, 3
NAMES_AT_A_TIME = 25
"""Few enough that messages which are prepared at one time share most of their names."""

STORE = """
INSERT INTO outbox_message (id, event_type, task, queue, payload, state)
SELECT gen_random_uuid(), 'post.updated', 'app.tasks.index_post', 'celery', payload, 'pending'
FROM jsonb_array_elements(%(payloads)s) AS payload
"""
POSTS = """
SELECT p.source_id, p.title, p.source_event,
       array(SELECT name FROM app_category AS c JOIN app_post_categories AS l
             ON l.category_id = c.id WHERE l.post_id = p.id),
       array(SELECT name FROM app_tag AS t JOIN app_post_tags AS l
             ON l.tag_id = t.id WHERE l.post_id = p.id),
       p.search_vector @@ plainto_tsquery('simple', p.title)
FROM app_post AS p WHERE p.source_id LIKE 'post%'
"""

# Each name takes a moment, so that two inserts of the same names meet within them.
SLOW_NAMES = """
CREATE FUNCTION take_a_moment() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END';
CREATE TRIGGER take_a_moment BEFORE INSERT ON app_category
    FOR EACH ROW EXECUTE FUNCTION take_a_moment();
CREATE TRIGGER take_a_moment BEFORE INSERT ON app_tag
    FOR EACH ROW EXECUTE FUNCTION take_a_moment();
"""
FAST_NAMES = "DROP FUNCTION take_a_moment CASCADE"


@pytest.fixture
def watched(effects: None) -> Iterator[None]:
    query(LEDGER + SLOW_NAMES)
    CLAIM.plant()
    yield
    CLAIM.remove()
    query(NO_LEDGER + FAST_NAMES)


def deadlocks() -> int:
    """How many the server has broken in this database; sessions that are over are all counted."""
    query("SELECT pg_stat_force_next_flush()")
    here = "pg_stat_database WHERE datname = current_database()"
    return int(query(f"SELECT deadlocks FROM {here}")[0][0])


def changes(number: int) -> list[Change]:
    """Versions of posts, some of them of one post, with names that neighbours share.

    The names move on, so that new ones are wanted all the time, by both at once: an insert of a
    name waits for the other's commit, and would for ever if each had a name of the other's.
    """
    times = random.sample(range(number), number)
    made = []
    for n in range(number):
        names = [f"name{n // 2 + each}" for each in range(NAMES_AT_A_TIME)]
        event = Event(
            "post.updated",
            EPOCH + timedelta(seconds=times[n]),
            f"post{(n + random.randrange(20)) * 2 // 3}",
            f"title{n}",
            "A body.",
            tuple(random.sample(names, 4)),
            tuple(random.sample(names, 8)),
        )
        made.append(Change(event, f"msg{n}"))
    return made


def store(changes: list[Change]) -> None:
    payloads = json.dumps([change.to_payload() for change in changes])
    sources = sorted({change.event.source_id for change in changes})
    query("INSERT INTO app_post (source_id) SELECT unnest(%(sources)s)", sources=sources)
    query(STORE, payloads=payloads)


def whole(change: Change) -> tuple[Any, ...]:
    """A Post in this version, as POSTS gives it."""
    event = change.event
    return event.title, change.webhook_id, set(event.categories), set(event.tags), True


def complaints(process: Process) -> list[str]:
    """Lines of its log, since its start, that tell of a failure or of a lost race."""
    bad = ("WARNING", "ERROR", "Traceback", "deadlock")
    lines = [line for line in process.output().splitlines() if NO_HOST not in line]
    return [line for line in lines if any(word in line for word in bad)]


@pytest.mark.parametrize(
    ("number", "batch_size"),
    [
        pytest.param(FEW, 10, id="few", marks=pytest.mark.timeout(180)),
        pytest.param(
            5000,
            100,
            id="many",
            marks=[pytest.mark.slow, pytest.mark.amqp, pytest.mark.timeout(600)],
        ),
    ],
)
def test_two_postprocessors_and_three_relays_share_the_work_and_never_a_claim(
    watched: None, tmp_path: Path, number: int, batch_size: int
) -> None:
    sent = RELAYS * batch_size  # ready from the start: a batch for each relay
    given = changes(number - sent)
    newest: dict[str, Change] = {}
    for change in sorted(given, key=lambda change: change.version):
        newest[change.event.source_id] = change
    before = deadlocks()
    with running(tmp_path) as service:
        loops = ["postprocess"] * POSTPROCESSORS + ["relay"] * RELAYS
        for loop in set(loops):
            service.processes[loop].stop(10)
        several = [
            sibling(
                service.processes[loop],
                name := f"{loop}{n}",
                "--batch-size",
                str(batch_size),
                **named(service.processes[loop], name),
            )
            for n, loop in enumerate(loops)
        ]
        with at_work(*several):
            wait_for_sessions(postprocess=POSTPROCESSORS, relay=RELAYS)
            with closed(CLAIM.key):  # until each of them has claimed: they start together
                store(given)
                store_ready("sent", sent)
                wait_for_sessions_at(CLAIM.key, POSTPROCESSORS + RELAYS)
            eventually(lambda: count("outbox_history") == number, 450 if number > 1000 else 100)

    assert deadlocks() == before
    assert {p.name: complaints(p) for p in several} == {p.name: [] for p in several}
    assert complaints(service.processes["worker"]) == []
    assert claimants() == {"pillarbox postprocess": POSTPROCESSORS, "pillarbox relay": RELAYS}
    assert query(OVERLAPPING) == []
    assert query(FOREIGN_ENDS) == []

    assert count("outbox_message") == 0
    assert query("SELECT DISTINCT sends, attempts FROM outbox_history") == [(1, 0)]
    effects = dict(query("SELECT source_id, count(*) FROM effect GROUP BY source_id"))
    once = [f"sent{n + 1}" for n in range(sent)]
    assert effects == Counter([*once, *(change.event.source_id for change in given)])
    assert {
        source_id: (title, event, set(categories), set(tags), found)
        for source_id, title, event, categories, tags, found in query(POSTS)
    } == {source_id: whole(change) for source_id, change in newest.items()}
