from __future__ import annotations

import json
import unicodedata
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection

from app import search
from app.models import Post
from tests.app.readers import HEADERS, TOKEN, ask, indexed_post, titles
from tests.factories import EPOCH, CategoryFactory, PostFactory, TagFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _token(settings: Any) -> None:
    settings.READ_TOKENS = ["another-token-of-the-tests", TOKEN]


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


def test_a_post_is_shown_as_it_came_in() -> None:
    PostFactory.create(
        source_id="post-1",
        title="Grüße \U0001f4ee",
        body="line\nline",
        categories=["News", "Berlin"],
        tags=["b", "a"],
        source_timestamp=datetime(2026, 3, 1, 12, 0, 0, 5, timezone(timedelta(hours=1))),
    )
    answer = ask("/posts/post-1/")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "private, no-cache"
    assert answer["Data-Age"] == "0.000"
    assert answer.json() == {
        "source_id": "post-1",
        "title": "Grüße \U0001f4ee",
        "body": "line\nline",
        "categories": ["Berlin", "News"],
        "tags": ["a", "b"],
        "timestamp": "2026-03-01T11:00:00.000005Z",
    }
    assert ask().json() == {"posts": [answer.json()], "next": None}


def test_a_post_without_names_or_text_has_empty_ones() -> None:
    PostFactory.create(source_id="1", title="", body="")
    post = ask("/posts/1/").json()
    assert (post["title"], post["body"], post["categories"], post["tags"]) == ("", "", [], [])


@pytest.mark.parametrize("trait", ["unfilled", "deleted"])
def test_an_unfilled_or_deleted_post_is_nowhere_to_be_seen(trait: str) -> None:
    hidden = PostFactory.create(source_id="hidden", tags=["a"], categories=["c"], **{trait: True})
    Post.everything.filter(pk=hidden.pk).update(search_vector="'word':1")
    answer = ask("/posts/hidden/")
    assert answer.status_code == 404
    assert (answer["Content-Type"], answer["Data-Age"]) == ("application/problem+json", "0.000")
    for parameters in ({}, {"q": "word"}, {"tag": "a"}, {"category": "c"}):
        assert titles(**parameters) == []


@pytest.mark.parametrize(
    "source_id", ["a/b", "a/", "ü \U0001f4ee", "50%", "a?b=c&d", "a\nb", "%ff", "x" * 255]
)
def test_any_id_of_the_source_has_an_address(source_id: str) -> None:
    PostFactory.create(source_id=source_id)
    assert ask(f"/posts/{quote(source_id, safe='')}/").json()["source_id"] == source_id


def test_posts_are_found_by_the_words_of_their_texts_and_names() -> None:
    indexed_post(title="first", body="A pillar box in Berlin", tags=["red"], source_timestamp=at(1))
    indexed_post(title="second", body="A box of letters", categories=["News"])
    indexed_post(title="third", body="Nothing else.", source_timestamp=at(2))
    assert titles() == ["third", "first", "second"]
    assert titles(q="box") == ["first", "second"]
    assert titles(q="BOX red") == ["first"]
    assert titles(q='"pillar box"') == ["first"]
    assert titles(q="box -pillar") == ["second"]
    assert titles(q="letters or nothing") == ["third", "second"]
    assert titles(q="news") == ["second"]
    assert titles(q="bo") == []


@pytest.mark.parametrize(
    "q", ["'", '"', "& | ! ( )", "<->", ":*", "a:", "\\", "--", "\U0001f4ee", "-", "x" * 200, "%"]
)
def test_no_query_is_a_mistake_of_syntax(q: str) -> None:
    assert ask(q=q).status_code == 200


def test_the_filters_take_whole_names_as_the_intake_stores_them() -> None:
    PostFactory.create(title="both", categories=["Café"], tags=["red", "box"])
    PostFactory.create(title="tag", tags=["red"], source_timestamp=at(-1))
    CategoryFactory.create(name="empty")
    TagFactory.create(name="empty")
    assert titles(tag="red") == ["both", "tag"]
    assert titles(tag="box", category="Café") == ["both"]
    assert titles(category=f"  {unicodedata.normalize('NFD', 'Café')} ") == ["both"]
    assert titles(tag="Red") == titles(tag="re") == titles(category="empty") == []


def test_filters_and_words_all_have_to_be_met() -> None:
    indexed_post(title="one", body="box", tags=["red"], categories=["c"])
    indexed_post(title="two", body="box", tags=["red"])
    indexed_post(title="three", body="letter", tags=["red"], categories=["c"])
    assert titles(q="box", tag="red", category="c") == ["one"]


def test_blank_parameters_ask_for_nothing() -> None:
    PostFactory.create(title="there")
    assert titles(q="", category=" ", tag="", after="", limit="") == ["there"]


def pages(path: str) -> list[list[str]]:
    """The titles of each page, from one `next` to the other."""
    found = []
    while path:
        answer = ask(path).json()
        found.append([post["title"] for post in answer["posts"]])
        path = answer["next"]
        assert len(found) < 50
    return found


def test_the_pages_hold_every_post_once_newest_first() -> None:
    for number in range(7):  # three of one time: their order is stable too
        PostFactory.create(title=str(number), source_timestamp=at(number // 3), tags=["a b&c"])
    PostFactory.create(title="other")
    expected = [["6", "5", "4"], ["3", "2", "1"], ["0"]]
    assert pages("/posts/?limit=3&tag=a%20b%26c") == expected
    assert pages("/posts/?tag=a%20b%26c&limit=7") == [list("6543210")]


def test_a_page_goes_on_where_the_last_ended_whatever_has_come_or_gone() -> None:
    posts = [PostFactory.create(title=str(n), source_timestamp=at(n)) for n in range(5)]
    following = ask(limit=2).json()["next"]
    posts[3].delete()  # the row that the cursor names
    PostFactory.create(title="newer", source_timestamp=at(9))
    assert pages(following) == [["2", "1"], ["0"]]


def test_a_page_ends_early_rather_than_hold_too_many_bytes(monkeypatch: Any) -> None:
    monkeypatch.setattr(search, "PAGE_BYTES", 10)
    for number, body in enumerate(["x" * 11, "äää", "xxxx", "x", "x" * 30]):
        PostFactory.create(title=str(number), body=body, source_timestamp=at(number))
    assert pages("/posts/") == [["4"], ["3", "2"], ["1"], ["0"]]


def test_a_page_has_twenty_posts_unless_another_number_is_asked_for() -> None:
    PostFactory.create_batch(101)
    assert len(titles()) == 20
    assert len(titles(limit=100)) == 100
    assert [len(page) for page in pages("/posts/?limit=100")] == [100, 1]


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999Z"])
def test_the_ends_of_time_have_pages_too(timestamp: str) -> None:
    for title in "ab":
        PostFactory.create(title=title, source_timestamp=datetime.fromisoformat(timestamp))
    assert pages("/posts/?limit=1") == [["b"], ["a"]]


def test_the_number_of_queries_does_not_depend_on_the_posts(
    django_assert_num_queries: Any,
) -> None:
    for number in range(3):
        indexed_post(body="box", tags=["red", f"t{number}"], categories=["c", f"c{number}"])
    address = f"/posts/{quote(Post.objects.all()[0].source_id)}/"
    for limit in (1, 3):
        with django_assert_num_queries(5):
            assert len(titles(q="box", tag="red", category="c", limit=limit)) == limit
    for path in (address, "/posts/none/"):
        with django_assert_num_queries(2):
            ask(path)


def test_text_and_names_of_a_post_come_from_one_statement() -> None:
    """With two, a version that is applied between them would show half of each."""
    PostFactory.create(source_id="1", title="old", tags=["old"])
    changed = False

    def change_in_between(execute: Any, sql: str, *rest: Any) -> Any:
        nonlocal changed
        result = execute(sql, *rest)
        if not changed and "title" in sql:
            changed = True
            Post.objects.get().tags.all().delete()
        return result

    with connection.execute_wrapper(change_in_between):
        post = ask("/posts/1/").json()
    assert changed
    assert (post["title"], post["tags"]) == ("old", ["old"])


def test_what_the_reader_has_already_is_not_sent_again() -> None:
    PostFactory.create(source_id="1")
    for path in ("/posts/1/", "/posts/"):
        first = ask(path)
        again = ask(path, HEADERS | {"if-none-match": first["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert (again["ETag"], again["Data-Age"]) == (first["ETag"], "0.000")
        assert again["Cache-Control"] == first["Cache-Control"]
    Post.objects.get().tags.add(TagFactory.create())
    for path in ("/posts/1/", "/posts/"):
        assert ask(path, HEADERS | {"if-none-match": first["ETag"]}).status_code == 200


def test_the_answer_is_utf_8_and_says_nothing_internal() -> None:
    PostFactory.create(title="Grüße")
    raw = ask().content
    assert "Grüße".encode() in raw
    (post,) = json.loads(raw)["posts"]
    assert list(post) == ["source_id", "title", "body", "categories", "tags", "timestamp"]
