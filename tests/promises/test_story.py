"""Why this service is there: its tasks see a Post whole while the replica knows nothing of it.

The control is the design that it replaces, on the same delivery and the same stopped replica.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.contrib.postgres.search import SearchVector
from django.db import connections, transaction
from django.db.models import Value
from django.test import Client

from app.models import Category, Post, Tag
from app.payload import Event, parse
from outbox.routers import replica_reads
from tests.app.filling import closing, in_thread
from tests.factories import SECRET, Delivery, event, signed_delivery
from tests.promises.by_hand import index, indexed, prepare_all
from tests.promises.replay import Replay, steered

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "replica"])

CATEGORIES = {"economy", "science"}
TAGS = {"alpha", "beta", "gamma"}
TEXT = {"headline", "content"}


@pytest.fixture(autouse=True)
def _front_door(settings: Any) -> None:
    settings.WEBHOOK_SECRETS = [SECRET]


@pytest.fixture
def replay(transactional_db: None) -> Iterator[Replay]:
    with steered() as replay:
        yield replay


@pytest.fixture
def delivery() -> Delivery:
    return signed_delivery(
        event(
            title="headline",
            body="content",
            categories=sorted(CATEGORIES),
            tags=sorted(TAGS),
        )
    )


def send(delivery: Delivery) -> UUID:
    response = Client().post("/webhooks/posts/", **delivery.request)
    assert response.status_code == 202
    return UUID(response.json()["message_id"])


def on_the_replica() -> tuple[int, int]:
    """Posts that a reader of the replica sees, and the relations of any Post."""
    with replica_reads():
        links = Post.tags.through.objects.count() + Post.categories.through.objects.count()
        return Post.everything.count(), links


def here(work: Callable[[], Any]) -> Any:
    return work()


@pytest.mark.parametrize("run", [here, in_thread], ids=["solo", "threads"])
def test_a_task_indexes_all_categories_and_tags_while_the_replica_stands_still(
    replay: Replay, delivery: Delivery, run: Callable[[Callable[[], Any]], Any]
) -> None:
    replay.pause()
    message_id = send(delivery)
    prepare_all()

    assert run(lambda: index(message_id)) == "done"

    assert indexed("post-1") == TEXT | CATEGORIES | TAGS
    assert on_the_replica() == (0, 0)  # it had nothing to give, all the time


def test_a_post_that_the_replica_knows_empty_is_indexed_whole_all_the_same(
    replay: Replay, delivery: Delivery
) -> None:
    message_id = send(delivery)
    replay.pause()
    prepare_all()

    assert in_thread(lambda: index(message_id)) == "done"

    assert indexed("post-1") == TEXT | CATEGORIES | TAGS
    assert on_the_replica() == (1, 0)


def test_of_a_new_version_nothing_old_is_indexed(replay: Replay, delivery: Delivery) -> None:
    send(delivery)
    prepare_all()
    replay.pause()
    newer = event("post.updated", at=1, title="later", body="", categories=["x"], tags=["y", "z"])
    message_id = send(signed_delivery(newer))
    prepare_all()

    assert in_thread(lambda: index(message_id)) == "done"

    assert indexed("post-1") == {"later", "x", "y", "z"}
    assert on_the_replica() == (1, len(CATEGORIES | TAGS))


def test_a_sender_can_follow_its_delivery_while_the_replica_stands_still(
    replay: Replay, delivery: Delivery
) -> None:
    def state() -> str:
        return str(Client().get(f"/messages/{message_id}/").json()["state"])

    replay.pause()
    message_id = send(delivery)
    seen = [state()]
    prepare_all()
    seen.append(state())
    index(message_id)

    assert [*seen, state()] == ["pending", "ready", "done"]


# The control: store the Post and answer, fill it in a thread, start the task from `on_commit`.


def replaced_intake(post_event: Event) -> None:
    with transaction.atomic():
        Post.everything.create(
            source_id=post_event.source_id, title=post_event.title, body=post_event.body
        )


def replaced_fill(post_event: Event) -> dict[str, Any]:
    """Fill the relations and run the task after the commit. Returns what the task saw."""
    saw: dict[str, Any] = {}
    with transaction.atomic():
        post = Post.everything.using("default").get(source_id=post_event.source_id)
        for name in post_event.categories:
            post.categories.add(Category.objects.get_or_create(name=name)[0])
        for name in post_event.tags:
            post.tags.add(Tag.objects.get_or_create(name=name)[0])
        transaction.on_commit(lambda: saw.update(replaced_task(post_event.source_id)))
    return saw


def replaced_task(source_id: str) -> dict[str, Any]:
    """The task's body: it reads where the router sends it, with nobody who pins it."""
    with replica_reads():
        post = Post.everything.filter(source_id=source_id).first()
        if post is None:
            return {"post": None}
        saw = {
            "post": post.source_id,
            "categories": {category.name for category in post.categories.all()},
            "tags": {tag.name for tag in post.tags.all()},
        }
        text = " ".join([post.title, post.body, *saw["categories"], *saw["tags"]])
        vector = SearchVector(Value(text), config="simple")
        Post.everything.filter(pk=post.pk).update(search_vector=vector)
    return saw


def in_a_thread(post_event: Event) -> dict[str, Any]:
    with ThreadPoolExecutor(1) as pool:
        saw: dict[str, Any] = pool.submit(closing(replaced_fill), post_event).result(timeout=10)
    return saw


def test_the_design_that_it_replaces_loses_every_category_and_tag(
    replay: Replay, delivery: Delivery
) -> None:
    post_event = parse(delivery.body)
    replaced_intake(post_event)
    replay.pause()

    saw = in_a_thread(post_event)

    assert saw == {"post": "post-1", "categories": set(), "tags": set()}
    missing = (TEXT | CATEGORIES | TAGS) - indexed("post-1")
    assert missing == CATEGORIES | TAGS
    # They had been committed before the task began: only the replica did not have them.
    [post] = Post.everything.using("default")
    with transaction.atomic():
        assert {tag.name for tag in post.tags.all()} == TAGS

    # The same delivery, the same stopped replica, our path.
    message_id = send(delivery)
    prepare_all()
    assert in_thread(lambda: index(message_id)) == "done"
    assert indexed("post-1") == TEXT | CATEGORIES | TAGS
    assert on_the_replica() == (1, 0)


def test_the_design_that_it_replaces_does_not_even_find_the_post(
    replay: Replay, delivery: Delivery
) -> None:
    replay.pause()
    post_event = parse(delivery.body)
    replaced_intake(post_event)

    assert in_a_thread(post_event) == {"post": None}
    assert indexed("post-1") == set()

    message_id = send(delivery)
    prepare_all()
    assert in_thread(lambda: index(message_id)) == "done"
    assert indexed("post-1") == TEXT | CATEGORIES | TAGS


def test_the_replaced_design_works_where_nothing_lags(replay: Replay, delivery: Delivery) -> None:
    """The control is fair: lag is the one thing that it cannot bear."""
    post_event = parse(delivery.body)
    replaced_intake(post_event)
    replay.pause()
    assert in_a_thread(post_event)["tags"] == set()

    replay.resume()
    assert in_thread(lambda: replaced_task("post-1"))["tags"] == TAGS
    assert indexed("post-1") == TEXT | CATEGORIES | TAGS


def test_the_replica_is_a_server_of_its_own_that_only_follows() -> None:
    """Or all of the above would prove nothing."""

    def recovering(alias: str) -> bool:
        with replica_reads(), connections[alias].cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery()")
            return bool(cursor.fetchone()[0])

    assert (recovering("default"), recovering("replica")) == (False, True)
