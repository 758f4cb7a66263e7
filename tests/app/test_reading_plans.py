"""What readers ask for is found by an index, however many Posts there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from app.cursor import Cursor
from app.document import documents
from app.models import Post
from app.search import Search, matching, page_keys
from tests.factories import EPOCH
from tests.plan import nodes

NUMBER = 20_000
# Every hundredth is not to be seen, every thousandth has the rare word and the rare tag. Many are
# of one time, as after an import: the first half.
FILL = """
    INSERT INTO app_tag (name) VALUES ('rare'), ('common');
    INSERT INTO app_post (source_id, title, body, source_timestamp, source_event, search_vector)
    SELECT n, 'title', 'body', %(epoch)s + greatest(n, %(number)s / 2) * interval '1 s', 'e',
           to_tsvector('simple', 'common w' || n %% 50 || repeat(' rare', (n %% 1000 = 7)::int))
    FROM generate_series(1, %(number)s) AS n ORDER BY n;
    UPDATE app_post SET deleted_at = source_timestamp, title = '', body = '', search_vector = NULL
    WHERE source_id::int %% 100 = 0;
    INSERT INTO app_post_tags (post_id, tag_id)
    SELECT post.id, tag.id FROM app_post AS post JOIN app_tag AS tag
    ON tag.name = 'common' OR source_id::int %% 1000 = 7;
"""


@pytest.fixture(scope="module", autouse=True)
def _posts(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(FILL, {"epoch": EPOCH, "number": NUMBER})
        cursor.execute("VACUUM ANALYZE app_post, app_tag, app_post_tags")
        yield
        cursor.execute("TRUNCATE app_post, app_tag CASCADE")


pytestmark = pytest.mark.django_db


def explained(posts: Any) -> tuple[set[str], int]:
    """The indexes that a query uses, and the rows of `app_post` that it looks at."""
    [plan] = json.loads(posts.explain(format="json", analyze=True))
    found = list(nodes(plan["Plan"]))
    rows = sum(
        int(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)))
        for node in found
        if node.get("Relation Name") == "app_post"
    )
    return {node["Index Name"] for node in found if "Index Name" in node}, rows


def keys(search: Search) -> Any:
    """The query of a page's keys."""
    return page_keys(matching(search, "default"), search)


def place(number: int) -> Cursor:
    """The place of one Post of the first half, which are all of one time."""
    post = Post.objects.get(source_id=str(number))
    assert post.source_timestamp is not None
    return Cursor(post.source_timestamp, post.pk)


@pytest.mark.parametrize("after", [None, 19_001, 9_001, 101])
def test_a_page_costs_the_same_however_far_it_is(after: int | None) -> None:
    search = Search(after=place(after) if after else None)
    assert explained(keys(search)) == ({"app_post_newest"}, search.limit + 1)


def test_a_rare_word_is_found_by_the_index_of_words() -> None:
    indexes, rows = explained(keys(Search(q="rare")))
    assert (indexes, rows) == ({"app_post_search"}, 20)


@pytest.mark.parametrize("after", [None, 9_001])
def test_a_common_word_costs_no_more_than_its_page(after: int | None) -> None:
    search = Search(q="common", after=place(after) if after else None)
    assert explained(keys(search)) == ({"app_post_newest"}, search.limit + 1)


def test_a_rare_tag_is_found_by_its_relations() -> None:
    indexes, rows = explained(keys(Search(tag="rare")))
    assert indexes == {"app_post_pkey", "app_post_tags_tag_id_ef7fd308"}
    assert rows <= 20


def test_a_common_tag_costs_no_more_than_a_few_pages() -> None:
    _, rows = explained(keys(Search(tag="common")))
    assert rows <= 200


def test_the_posts_of_a_page_are_read_by_their_keys() -> None:
    search = Search(q="common", tag="common")
    page = [pk for pk, _, _ in keys(search)]
    posts = matching(search, "default").filter(pk__in=page)
    indexes, rows = explained(posts)
    assert "app_post_pkey" in indexes
    assert rows <= len(page)
    assert len(documents(posts)) == len(page)


def test_a_post_is_read_by_its_id() -> None:
    assert explained(Post.objects.filter(source_id="7")) == ({"app_post_source_id_unique"}, 1)
