"""Tasks and post-processors at once on the same Posts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from app.models import Post
from outbox.models import HistoryMessage, OutboxMessage
from outbox.prepare import Preparer
from tests.app.filling import closing
from tests.factories import event
from tests.promises.by_hand import (
    PATIENCE,
    index,
    indexed,
    make_given_back_due,
    prepare_all,
    sessions,
    take_in,
    words,
)

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = 20


@pytest.fixture
def written(transactional_db: None) -> Iterator[Callable[[], list[set[str]]]]:
    """Every search vector that is committed, noted by the database itself."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE races_written (at bigserial, vector tsvector);"
            "CREATE FUNCTION races_note() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN INSERT INTO races_written (vector) VALUES (NEW.search_vector);"
            " RETURN NULL; END';"
            "CREATE TRIGGER races_note AFTER UPDATE OF search_vector ON app_post"
            " FOR EACH ROW EXECUTE FUNCTION races_note()"
        )
    yield vectors
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER races_note ON app_post")
        cursor.execute("DROP FUNCTION races_note; DROP TABLE races_written")


def vectors() -> list[set[str]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT vector::text FROM races_written ORDER BY at")
        return [words(vector) for (vector,) in cursor.fetchall()]


def version(number: int) -> dict[str, Any]:
    """An event whose every word is of this version alone."""
    return event(
        "post.updated",
        at=number,
        title=f"title{number}",
        body=f"body{number}",
        categories=[f"category{number}"],
        tags=[f"tag{name}v{number}" for name in range(NAMES)],
    )


def words_of(number: int) -> set[str]:
    tags = {f"tag{name}v{number}" for name in range(NAMES)}
    return {f"title{number}", f"body{number}", f"category{number}"} | tags


@pytest.mark.parametrize("rounds", [25, pytest.param(250, marks=pytest.mark.slow)])
@pytest.mark.timeout(120)
def test_a_search_vector_is_never_of_mixed_versions(
    written: Callable[[], list[set[str]]], rounds: int
) -> None:
    """Each round: two tasks of one Post, and meanwhile a newer version of it is applied."""
    together = Barrier(3, timeout=PATIENCE)

    def task(message_id: UUID) -> str:
        together.wait()
        return index(message_id)

    def apply() -> None:
        together.wait()
        prepare_all()

    with sessions(3) as pool:
        for first in range(1, 3 * rounds, 3):
            older = [take_in(version(number)) for number in (first, first + 1)]
            prepare_all()
            newest = take_in(version(first + 2))
            tasks = [pool.submit(task, message_id) for message_id in older]
            applying = pool.submit(apply)
            assert [done.result(timeout=PATIENCE) for done in tasks] == ["done", "done"]
            applying.result(timeout=PATIENCE)
            assert index(newest) == "done"
            assert indexed("post-1") == words_of(first + 2)

    whole = {f"title{number}": words_of(number) for number in range(3 * rounds + 1)}
    noted = written()
    assert len(noted) == 3 * rounds
    for vector in noted:
        titles = [word for word in vector if word.startswith("title")]
        assert [vector] == [whole[title] for title in titles]
    # Never back to an older one.
    numbers = [int(word[5:]) for vector in noted for word in vector if word.startswith("title")]
    assert numbers == sorted(numbers)


def test_a_post_that_a_long_task_holds_delays_no_other_and_costs_no_attempt() -> None:
    long_message = take_in(event(source_id="held", title="first"))
    prepare_all()
    holds, let_go = Event(), Event()

    def long_task() -> str:
        def pause(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if "SET search_vector" in sql:  # the Post is locked by now
                holds.set()
                assert let_go.wait(timeout=PATIENCE)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(pause):
            return index(long_message)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(closing(long_task))
        try:
            assert holds.wait(timeout=PATIENCE)
            waiting = [take_in(event("post.updated", "held", at=n, title=f"v{n}")) for n in (1, 2)]
            others = [take_in(event(source_id=f"free-{n}")) for n in range(20)]

            Preparer(batch_size=100).step()

            rows = {row.pk: row for row in OutboxMessage.objects.exclude(pk=long_message)}
            assert {rows[each].state for each in others} == {"ready"}
            assert {rows[each].state for each in waiting} == {"pending"}
            assert {(row.attempts, row.lease_token, row.last_error) for row in rows.values()} == {
                (0, None, "")
            }
            assert not running.done()
            # Ten times more, and it has still lost nothing.
            for _ in range(10):
                make_given_back_due()
                Preparer(batch_size=100).step()
        finally:
            let_go.set()
        assert running.result(timeout=PATIENCE) == "done"
    assert indexed("held") >= {"first"}
    tried = OutboxMessage.objects.filter(pk__in=waiting).values_list("attempts", "suspect")
    assert set(tried) == {(0, False)}

    prepare_all()
    assert [index(each) for each in [*waiting, *others]] == ["done"] * 22
    assert Post.objects.get(source_id="held").title == "v2"
    assert "v2" in indexed("held")
    assert set(HistoryMessage.objects.values_list("attempts", flat=True)) == {0}
