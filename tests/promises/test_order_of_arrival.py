"""Deliveries of one Post that come late, or before what they follow: taken in, and put in order."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from app.models import Post
from outbox.models import HistoryMessage
from outbox.testing import drain
from tests.app.filling import state
from tests.factories import SECRET, signed_delivery
from tests.promises.by_hand import indexed
from tests.promises.post_model import Sent, model, words_of

pytestmark = pytest.mark.django_db

CREATED = Sent("1", "post-1", "post.created", 0, title="First", categories=("x",), tags=("old",))
UPDATED = Sent("2", "post-1", "post.updated", 1, title="Second", categories=("y",), tags=("new",))
DELETED = Sent("3", "post-1", "post.deleted", 2)
AGAIN = Sent("4", "post-1", "post.created", 3, title="Third", tags=("again",))


@pytest.fixture(autouse=True)
def _secret(settings: Any) -> None:
    settings.WEBHOOK_SECRETS = [SECRET]


def come(*deliveries: Sent) -> None:
    """Each is accepted, and done, before the next comes."""
    for number, sent in enumerate(deliveries, HistoryMessage.objects.count() + 1):
        delivery = signed_delivery(sent.body, webhook_id=sent.webhook_id)
        assert Client().post("/webhooks/posts/", **delivery.request).status_code == 202
        drain()
        assert HistoryMessage.objects.count() == number


def assert_it_is(sent: Sent) -> None:
    assert state("post-1") == model([sent])
    assert indexed("post-1") == words_of([sent])
    assert Post.objects.exists() is not sent.deleted


def test_an_update_before_its_creation_creates_the_post() -> None:
    come(UPDATED)
    assert_it_is(UPDATED)


def test_a_creation_that_comes_after_its_update_is_done_and_changes_nothing() -> None:
    come(UPDATED, CREATED)
    assert_it_is(UPDATED)


def test_a_deletion_before_its_creation_leaves_a_tombstone_that_late_events_do_not_lift() -> None:
    come(DELETED)
    assert_it_is(DELETED)
    come(CREATED, UPDATED)
    assert_it_is(DELETED)


def test_a_deletion_that_comes_after_a_newer_creation_deletes_nothing() -> None:
    come(CREATED, AGAIN, DELETED)
    assert_it_is(AGAIN)


def test_what_is_created_again_after_its_deletion_is_there_again() -> None:
    come(CREATED, DELETED, AGAIN)
    assert_it_is(AGAIN)


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_updates_at_one_time_the_greater_id_lasts_in_either_order(first: int) -> None:
    # Greater as bytes: a dictionary has them the other way round.
    both = [Sent(each, "post-1", "post.updated", 1, title=each) for each in ("B", "a")]
    come(both[first], both[1 - first])
    assert_it_is(both[1])


@pytest.mark.parametrize("first", [0, 1])
def test_of_an_update_and_a_deletion_at_one_time_the_deletion_lasts(first: int) -> None:
    both = [Sent("9", "post-1", "post.updated", DELETED.at, title="Same time"), DELETED]
    come(both[first], both[1 - first])
    assert_it_is(DELETED)
