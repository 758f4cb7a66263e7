"""The post-processor beside others that touch the same rows, on a real server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction

from app.models import Category, Post, Tag
from tests.app.filling import closing, fill, in_thread, message, state
from tests.factories import PostFactory

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.django_db(transaction=True)


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
