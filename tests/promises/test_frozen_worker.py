"""A worker that is frozen within its transaction holds its message and its Post for a time only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.factories import event
from tests.gate import EFFECT_KEY, closed, wait_for_sessions_at
from tests.promises.siblings import at_work, freeze, sibling, wake, with_options
from tests.service import kill, running
from tests.sql import count, query
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.timeout(240),
]

PATIENCE = 30.0
IDLE_SECONDS = 2
IDLE_OPTION = f"-c%20idle_in_transaction_session_timeout%3D{IDLE_SECONDS}s"
ENVIRONMENT = {
    "OUTBOX_REDISPATCH_SECONDS": "2",
    # A task that is taken before the relay has marked it leaves the relay's claim on the row.
    "OUTBOX_LEASE_SECONDS": "2",
    "OUTBOX_PUBLISH_SECONDS": "1",
}
FREE = "SELECT 1 FROM outbox_message WHERE state <> 'pending' FOR UPDATE SKIP LOCKED"
SESSION = "SELECT state FROM pg_stat_activity WHERE pid = %(pid)s"
POST = "SELECT title, source_event, search_vector @@ plainto_tsquery('simple', title) FROM app_post"


def version(number: int, source_id: str = "post-1") -> dict[str, Any]:
    return event("post.updated", source_id, at=number, title=f"version{number}")


def test_the_row_of_a_worker_frozen_in_its_transaction_is_free_after_the_timeout(
    effects: None, tmp_path: Path
) -> None:
    with running(tmp_path, **ENVIRONMENT) as service:
        other = service.processes["worker"]
        kill(other)
        # One task at a time: it takes nothing from the broker beside what it has in hand.
        options = with_options(other.env, IDLE_OPTION)
        frozen = sibling(other, "frozen", "-c", "1", **options)
        with at_work(frozen):
            with closed(EFFECT_KEY):
                service.deliver(version(1))
                [pid] = wait_for_sessions_at(EFFECT_KEY)
                freeze(frozen)
                other.start()
                answer = service.deliver(version(2), "msg_2")
                assert answer.status == 202, answer
                # A statement that is under way is not cut, however long its client has slept.
                long_ago = f"clock_timestamp() - query_start > interval '{IDLE_SECONDS + 1} s'"
                eventually(lambda: query(f"{SESSION} AND {long_ago}", pid=pid), PATIENCE)
                assert query(SESSION, pid=pid) == [("active",)]
                assert query(FREE) == []
                waiting = "SELECT attempts, last_error FROM outbox_message WHERE state = 'pending'"
                eventually(lambda: query(waiting) == [(0, "")], PATIENCE)  # given back, not spent
            # Then its transaction is idle, and the server ends it.
            eventually(lambda: query(SESSION, pid=pid) == [], IDLE_SECONDS + PATIENCE)
            # Sent again, and done by the other; the next version of the Post waits no longer.
            eventually(lambda: count("outbox_history") == 2, PATIENCE)
            assert query("SELECT sends > 1 FROM outbox_history ORDER BY received_at")[0] == (True,)
            assert query(POST) == [("version2", "msg_2", True)]
            assert count("effect") == 2  # one for each message: the frozen one's is undone

            everything = (
                "SELECT xmin::text, h::text FROM outbox_history AS h WHERE id = ANY(%(ids)s)"
                " UNION ALL SELECT xmin::text, p::text FROM app_post AS p"
                " WHERE source_id = 'post-1'"
            )
            ids = [row[0] for row in query("SELECT id FROM outbox_history")]
            before = query(everything, ids=ids)
            kill(other)
            wake(frozen)
            # It has lost its transaction, and finds that the message is another's or done.
            eventually(lambda: "raised unexpected" in frozen.output(), PATIENCE)
            service.deliver(version(3, "post-2"))
            eventually(lambda: count("outbox_history") == 3, PATIENCE)
            assert frozen.poll() is None
            assert query(everything, ids=ids) == before
            assert count("effect") == 3
            assert count("outbox_message") == 0
