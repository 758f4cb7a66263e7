from __future__ import annotations

import itertools
import random
import string
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from django.contrib.postgres.search import SearchQuery
from django.db import connection, connections, transaction
from django.db.models import F, Func

import outbox
from app.models import Category, Post, Tag
from app.tasks import SEARCHABLE_CHARACTERS, index_post
from outbox import registry
from tests.factories import PostFactory

FIND = SearchQuery("word", config="simple")


def vector(source_id: str = "post-1") -> str | None:
    value: str | None = Post.everything.values_list("search_vector", flat=True).get(
        source_id=source_id
    )
    return value


def found(word: str) -> bool:
    return Post.objects.filter(search_vector=SearchQuery(word, config="simple")).exists()


@pytest.mark.django_db
def test_title_names_and_body_are_found_in_the_order_of_their_weight() -> None:
    PostFactory(
        source_id="post-1", title="Red", categories=["green Sea"], tags=["blue"], body="Grey the"
    )
    index_post(source_id="post-1")
    assert vector() == "'blue':2B 'green':3B 'grey':5C 'red':1A 'sea':4B 'the':6C"
    assert all(map(found, ["red", "green", "blue", "grey"]))


@pytest.mark.django_db
def test_indexing_again_changes_nothing() -> None:
    PostFactory(source_id="post-1", categories=["x"])
    index_post(source_id="post-1")
    first = vector()
    index_post(source_id="post-1")
    assert vector() == first is not None


@pytest.mark.django_db
def test_a_post_without_names_is_indexed_too() -> None:
    PostFactory(source_id="post-1", title="word")
    index_post(source_id="post-1")
    assert Post.objects.filter(search_vector=FIND).exists()


@pytest.mark.django_db
def test_the_vector_of_a_deleted_post_is_cleared() -> None:
    PostFactory(source_id="post-1", deleted=True)
    Post.everything.update(search_vector=Func(F("source_id"), function="to_tsvector"))
    index_post(source_id="post-1")
    assert vector() is None


@pytest.mark.django_db
def test_a_post_that_is_gone_needs_no_index() -> None:
    index_post(source_id="unknown")


@pytest.mark.django_db
def test_whatever_else_the_payload_holds_is_not_used() -> None:
    PostFactory(source_id="post-1", title="row")
    index_post(source_id="post-1", title="payload", later=1)
    assert found("row")
    assert not found("payload")


def longest(words: Any) -> str:
    """Words to the limit of what is indexed and a little beyond."""
    return " ".join(itertools.islice(words, 30_000))[: SEARCHABLE_CHARACTERS + 100]


LETTERS = [chr(n) for n in range(0x20000, 0x20000 + 1000)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body",
    [
        longest("".join(w) for w in itertools.product(string.ascii_lowercase, repeat=4)),
        longest("-".join(w) for w in itertools.product(string.ascii_lowercase, repeat=4)),
        longest("-".join(w) for w in itertools.product(LETTERS, repeat=2)),
        longest("".join(w) for w in itertools.product(LETTERS, repeat=2)),
        longest(f"a.{n}/{n}?{n}" for n in range(100_000)),
        longest(f"{n}@{n}.com" for n in range(100_000)),
        "x" * 1_048_576,
    ],
    ids=["words", "hyphens", "rare hyphens", "rare words", "urls", "emails", "one word"],
)
def test_the_longest_bodies_can_be_indexed(body: str) -> None:
    post = PostFactory(source_id="post-1", title="word" * 125, body="word " + body)
    names = ["".join(random.choices(LETTERS, k=100)) for _ in range(100)]
    post.categories.set(Category.objects.bulk_create(Category(name=name) for name in names))
    post.tags.set(Tag.objects.bulk_create(Tag(name=name) for name in names))
    index_post(source_id="post-1")
    assert Post.objects.filter(search_vector=FIND).exists()


@pytest.mark.django_db
def test_a_body_is_searchable_up_to_its_limit() -> None:
    filler = "x " * (SEARCHABLE_CHARACTERS // 2 - 3)
    PostFactory(source_id="post-1", body=filler + "inner " + "outer")
    index_post(source_id="post-1")
    assert found("inner")
    assert not found("outer")


@pytest.mark.django_db(transaction=True)
def test_the_post_is_locked_before_anything_of_it_is_read() -> None:
    """A newer version that commits meanwhile is seen whole: its text and its names."""
    post = PostFactory(source_id="post-1", title="old", categories=["old"])
    started = Event()

    def index() -> None:
        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if "FOR NO KEY UPDATE" in sql:
                started.set()
            return execute(sql, params, many, context)

        try:
            with connection.execute_wrapper(note), transaction.atomic():
                index_post(source_id="post-1")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Post.everything.filter(pk=post.pk).update(title="new")
            indexing = pool.submit(index)
            assert started.wait(timeout=10)
            post.categories.get().posts.clear()
            post.categories.create(name="fresh")
        indexing.result(timeout=10)
    assert vector() == "'a':3C 'body':4C 'fresh':2B 'new':1A"


def test_it_is_the_task_of_the_three_events_and_they_start_as_pending() -> None:
    from app.post_processor import fill_posts

    for event_type in ("post.created", "post.updated", "post.deleted"):
        assert registry.get(event_type).name == "app.tasks.index_post"
        assert registry.get(event_type).prepare_function is fill_posts


def test_it_cannot_be_sent_past_the_outbox() -> None:
    with pytest.raises(outbox.NotSendable):
        index_post.delay(source_id="post-1")
