from __future__ import annotations

import itertools
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from app.change import Change
from app.models import Category, Post, Tag
from app.payload import parse
from app.post_processor import fill_posts
from outbox import Message
from tests.factories import EPOCH, PostFactory, event, signed_delivery

if TYPE_CHECKING:
    from collections.abc import Callable


def message(event_type: str = "post.created", *args: Any, **kwargs: Any) -> Message:
    """The message of an event, as a claim would read it. `webhook_id` may be given."""
    webhook_id = kwargs.pop("webhook_id", "msg_1")
    body = signed_delivery(event(event_type, *args, **kwargs)).body
    change = Change(parse(body), webhook_id)
    return Message(uuid.uuid4(), event_type, "task", "queue", change.to_payload())


def fill(*messages: Message) -> list[Message]:
    with transaction.atomic():
        return fill_posts(list(messages))


def state(source_id: str = "post-1") -> tuple[Any, ...]:
    """A Post as a reader could see it, with the version that it is in."""
    post = Post.everything.get(source_id=source_id)
    return (
        post.title,
        post.body,
        {category.name for category in post.categories.all()},
        {tag.name for tag in post.tags.all()},
        post.source_timestamp,
        post.source_event,
        post.deleted_at,
    )


@pytest.mark.django_db
def test_a_new_post_gets_text_and_relations_of_its_event() -> None:
    PostFactory(source_id="post-1", unfilled=True)
    assert fill(message(title="T", body="B", categories=["x"], tags=["y", "z"])) == []
    assert state() == ("T", "B", {"x"}, {"y", "z"}, EPOCH, "msg_1", None)
    assert Post.objects.get().source_id == "post-1"


@pytest.mark.django_db
def test_a_post_whose_row_is_gone_is_made_again() -> None:
    assert fill(message(), message(source_id="post-2")) == []
    assert Post.objects.count() == 2


@pytest.mark.django_db
def test_names_that_exist_are_used_again_and_the_missing_ones_made() -> None:
    PostFactory(source_id="post-2", categories=["news"], tags=["a"])
    fill(message(categories=["news", "more"], tags=["a", "b"]))
    assert set(Category.objects.values_list("name", flat=True)) == {"news", "more"}
    assert set(Tag.objects.values_list("name", flat=True)) == {"a", "b"}
    assert state("post-2")[2:4] == ({"news"}, {"a"})


@pytest.mark.django_db
def test_an_update_removes_the_names_that_are_no_longer_there() -> None:
    PostFactory(source_id="post-1", categories=["old", "kept"], tags=["old", "kept"])
    fill(message("post.updated", at=1, categories=["kept", "new"], tags=[]))
    assert state()[2:4] == ({"kept", "new"}, set())


@pytest.mark.django_db
def test_what_is_not_newer_changes_nothing_and_is_done() -> None:
    PostFactory(source_id="post-1", source_timestamp=EPOCH, source_event="msg_5", tags=["kept"])
    before = state()
    older = message("post.updated", at=-1, webhook_id="msg_9")
    same = message("post.updated", at=0, webhook_id="msg_5")
    equal_time_smaller_id = message("post.updated", at=0, webhook_id="msg_4")
    assert fill(older, same, equal_time_smaller_id) == []
    assert state() == before


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("at", "event_type", "webhook_id"),
    [(1, "post.updated", "msg_1"), (0, "post.updated", "msg_6"), (0, "post.deleted", "msg_1")],
)
def test_what_is_newer_is_applied(at: int, event_type: str, webhook_id: str) -> None:
    PostFactory(source_id="post-1", source_timestamp=EPOCH, source_event="msg_5")
    fill(message(event_type, at=at, webhook_id=webhook_id))
    assert state()[5] == webhook_id


@pytest.mark.django_db
def test_a_deletion_leaves_a_tombstone_that_a_late_event_cannot_lift() -> None:
    PostFactory(source_id="post-1", categories=["x"], tags=["y"])
    fill(message("post.deleted", at=5, webhook_id="msg_2"))
    tombstone = ("", "", set(), set(), EPOCH + timedelta(seconds=5), "msg_2")
    assert state()[:6] == tombstone
    assert Post.everything.get().deleted_at == EPOCH + timedelta(seconds=5)
    assert not Post.objects.exists()
    fill(message("post.updated", at=4, webhook_id="msg_9"))
    fill(message("post.updated", at=5, webhook_id="msg_9"))
    assert state()[:6] == tombstone


@pytest.mark.django_db
def test_a_newer_event_brings_a_deleted_post_back() -> None:
    PostFactory(source_id="post-1", deleted=True)
    fill(message("post.created", at=1, title="again"))
    assert Post.objects.get().title == "again"


@pytest.mark.django_db
def test_a_deletion_that_comes_first_is_kept() -> None:
    PostFactory(source_id="post-1", unfilled=True)
    fill(message("post.deleted", at=1))
    fill(message("post.created", at=0))
    assert not Post.objects.exists()


HISTORY = [
    ("post.created", 0, "msg_3"),
    ("post.updated", 1, "msg_2"),
    ("post.updated", 1, "msg_1"),
    ("post.deleted", 1, "msg_0"),
    ("post.updated", 2, "msg_a"),
]


@pytest.mark.django_db
@pytest.mark.parametrize("length", range(2, len(HISTORY) + 1))
def test_the_result_does_not_depend_on_order_or_batches(length: int) -> None:
    """Up to four events in every order, five in every fifth, cut into two batches somewhere."""
    results = []
    orders = list(itertools.permutations(HISTORY[:length]))
    for number, order in enumerate(orders[:: max(1, len(orders) // 24)]):
        source_id = f"post-{length}-{number}"
        cut = number % (length + 1)
        messages = [
            message(kind, source_id, at=at, webhook_id=webhook_id, **texts(kind, webhook_id))
            for kind, at, webhook_id in order
        ]
        for batch in (messages[:cut], messages[cut:]):
            assert fill(*batch) == []
        results.append(state(source_id))
    assert all(result == results[0] for result in results)
    assert results[0][5] == ("msg_2", "msg_2", "msg_0", "msg_a")[length - 2]


def texts(kind: str, webhook_id: str) -> dict[str, Any]:
    if kind == "post.deleted":
        return {}
    return {"title": webhook_id, "categories": [webhook_id], "tags": [webhook_id, "all"]}


@pytest.mark.django_db
def test_of_several_versions_in_a_batch_the_newest_is_applied_whole_and_all_are_done() -> None:
    batch = [message(at=n, webhook_id=f"m{n}", **texts("", f"m{n}")) for n in (1, 3, 2)]
    assert fill(*batch) == []
    assert state()[:4] == ("m3", "A body.", {"m3"}, {"m3", "all"})
    assert not Tag.objects.filter(name="m2").exists()


@pytest.mark.django_db
def test_the_number_of_statements_does_not_depend_on_the_size_of_the_batch() -> None:
    def statements(number: int) -> int:
        batch = [
            message(
                source_id=f"{number}-{n}", categories=[f"{number}-c{n}"], tags=[f"{number}-t{n}"]
            )
            for n in range(number)
        ]
        with (
            CaptureQueriesContext(
                connection,
            ) as queries,
            transaction.atomic(),
        ):
            fill_posts(batch)
        return len(queries)

    assert statements(2) == statements(200) <= 15


@pytest.mark.django_db(transaction=True)
def test_the_messages_of_a_post_that_somebody_holds_are_given_back_and_the_rest_filled() -> None:
    held = PostFactory(source_id="held", unfilled=True)
    PostFactory(source_id="free", unfilled=True)
    waiting = [message(source_id="held", at=n) for n in range(2)]
    with transaction.atomic():
        Post.everything.select_for_update(no_key=True).get(pk=held.pk)
        given_back = in_thread(lambda: fill(*waiting, message(source_id="free")))
    assert given_back == waiting
    assert [post.source_id for post in Post.objects.all()] == ["free"]
    assert fill(*waiting) == []
    assert Post.objects.count() == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("model", "field"), [(Category, "categories"), (Tag, "tags")])
def test_names_are_made_in_one_order_whatever_the_order_of_the_event(
    wait_until_blocked: Callable[[], None], model: Any, field: str
) -> None:
    """Somebody else is making "b": the post-processor waits there, and has not made "c" yet."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            model.objects.create(name="b")
            filling = pool.submit(closing(fill), message(**{field: ["c", "b", "a"]}))
            wait_until_blocked()
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '1s'")
            model.objects.create(name="c")
        assert filling.result(timeout=10) == []
    assert set(model.objects.values_list("name", flat=True)) >= {"a", "b", "c"}


@pytest.mark.django_db(transaction=True)
def test_post_processors_with_the_same_new_names_do_not_deadlock() -> None:
    """Eight at once, each with the same names in another order, over and over."""
    names = [f"name {n}" for n in range(20)]
    together = Barrier(8, timeout=20)

    def work(worker: int) -> None:
        for turn in range(5):
            mixed = names[worker:] + names[:worker]
            batch = [
                message(
                    source_id=f"{worker}-{turn}-{n}",
                    categories=[f"{turn} {name}" for name in mixed],
                    tags=[f"{turn} {name}" for name in reversed(mixed)],
                )
                for n in range(3)
            ]
            together.wait()
            assert fill(*batch) == []

    with ThreadPoolExecutor(8) as pool:
        for outcome in [pool.submit(closing(work), worker) for worker in range(8)]:
            outcome.result(timeout=30)
    assert Post.objects.count() == 120
    assert Category.objects.count() == Tag.objects.count() == 100


@pytest.mark.django_db(transaction=True)
def test_in_every_snapshot_row_and_relations_are_of_one_version() -> None:
    PostFactory(source_id="post-1", title="0", categories=["0"], tags=["0"])

    def write() -> None:
        for n in range(1, 30):
            fill(message(at=n, title=str(n), categories=[str(n)], tags=[str(n)]))

    seen = set()
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(closing(write))
        while not writing.done():
            with connection.cursor() as cursor:
                cursor.execute(SNAPSHOT)
                seen.add(tuple(cursor.fetchone()))
        writing.result()
    assert all(title == categories == tags for title, categories, tags in seen)


SNAPSHOT = """
    SELECT title,
        (SELECT string_agg(name, ',') FROM app_category JOIN app_post_categories AS link
            ON category_id = app_category.id WHERE link.post_id = post.id),
        (SELECT string_agg(name, ',') FROM app_tag JOIN app_post_tags AS link
            ON tag_id = app_tag.id WHERE link.post_id = post.id)
    FROM app_post AS post
"""


@pytest.mark.django_db(transaction=True)
def test_a_category_cannot_vanish_between_its_lookup_and_its_use() -> None:
    PostFactory(source_id="post-2", categories=["news"])

    def delete() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '100ms'")
        Category.objects.filter(name="news").delete()

    def after_the_lookup(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "DELETE FROM app_post_categories" in sql:
            with pytest.raises(Exception, match="lock timeout"):
                in_thread(delete)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(after_the_lookup):
        fill(message(categories=["news"]))
    assert state()[2] == {"news"}


def closing(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Any) -> Any:
        try:
            return function(*args)
        finally:
            connections.close_all()

    return run


def in_thread(function: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(closing(function)).result(timeout=10)
