from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from app.models import Category, Post, Tag
from app.post_processor import fill_posts
from tests.app.filling import fill, message, state
from tests.factories import EPOCH, PostFactory

pytestmark = pytest.mark.django_db


def test_a_new_post_gets_text_and_relations_of_its_event() -> None:
    PostFactory(source_id="post-1", unfilled=True)
    assert fill(message(title="T", body="B", categories=["x"], tags=["y", "z"])) == []
    assert state() == ("T", "B", {"x"}, {"y", "z"}, EPOCH, "msg_1", None)
    assert Post.objects.get().source_id == "post-1"


def test_a_post_whose_row_is_gone_is_made_again() -> None:
    assert fill(message(), message(source_id="post-2")) == []
    assert Post.objects.count() == 2


def test_names_that_exist_are_used_again_and_the_missing_ones_made() -> None:
    PostFactory(source_id="post-2", categories=["news"], tags=["a"])
    fill(message(categories=["news", "more"], tags=["a", "b"]))
    assert set(Category.objects.values_list("name", flat=True)) == {"news", "more"}
    assert set(Tag.objects.values_list("name", flat=True)) == {"a", "b"}
    assert state("post-2")[2:4] == ({"news"}, {"a"})


def test_an_update_removes_the_names_that_are_no_longer_there() -> None:
    PostFactory(source_id="post-1", categories=["old", "kept"], tags=["old", "kept"])
    fill(message("post.updated", at=1, categories=["kept", "new"], tags=[]))
    assert state()[2:4] == ({"kept", "new"}, set())


def test_relations_that_a_post_had_before_it_was_filled_are_replaced_too() -> None:
    """Those that somebody has given it at the admin."""
    PostFactory(source_id="post-1", unfilled=True, tags=["by hand"])
    PostFactory(source_id="post-2", unfilled=True, categories=["by hand"])
    fill(message(categories=["x"], tags=["y"]), message(source_id="post-2", categories=[]))
    assert state()[2:4] == ({"x"}, {"y"})
    assert state("post-2")[2] == set()


def test_what_is_not_newer_changes_nothing_and_is_done() -> None:
    PostFactory(source_id="post-1", source_timestamp=EPOCH, source_event="msg_5", tags=["kept"])
    before = state()
    older = message("post.updated", at=-1, webhook_id="msg_9")
    same = message("post.updated", at=0, webhook_id="msg_5")
    equal_time_smaller_id = message("post.updated", at=0, webhook_id="msg_4")
    assert fill(older, same, equal_time_smaller_id) == []
    assert state() == before


@pytest.mark.parametrize(
    ("at", "event_type", "webhook_id"),
    [(1, "post.updated", "msg_1"), (0, "post.updated", "msg_6"), (0, "post.deleted", "msg_1")],
)
def test_what_is_newer_is_applied(at: int, event_type: str, webhook_id: str) -> None:
    PostFactory(source_id="post-1", source_timestamp=EPOCH, source_event="msg_5")
    fill(message(event_type, at=at, webhook_id=webhook_id))
    assert state()[5] == webhook_id


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


def test_a_newer_event_brings_a_deleted_post_back() -> None:
    PostFactory(source_id="post-1", deleted=True)
    fill(message("post.created", at=1, title="again"))
    assert Post.objects.get().title == "again"


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


def test_of_several_versions_in_a_batch_the_newest_is_applied_whole_and_all_are_done() -> None:
    batch = [message(at=n, webhook_id=f"m{n}", **texts("", f"m{n}")) for n in (1, 3, 2)]
    assert fill(*batch) == []
    assert state()[:4] == ("m3", "A body.", {"m3"}, {"m3", "all"})
    assert not Tag.objects.filter(name="m2").exists()


def test_texts_come_out_as_they_went_in() -> None:
    title, body = 'a "title" \\ {with}, NULL', '\\"' * 3 + "\n,%s'"
    fill(message(title=title, body=body, categories=['"c\\,'], tags=["NULL", "{t}", "a,b"]))
    assert state()[:4] == (title, body, {'"c\\,'}, {"NULL", "{t}", "a,b"})


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
