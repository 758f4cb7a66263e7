from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection

from app.models import Category, Post, Tag, WebhookDelivery
from tests.factories import EPOCH, CategoryFactory, PostFactory, TagFactory, WebhookDeliveryFactory

pytestmark = pytest.mark.django_db


def test_readers_see_neither_unfilled_nor_deleted_posts() -> None:
    visible = PostFactory(categories=["x"])
    PostFactory(unfilled=True)
    PostFactory(deleted=True)
    assert list(Post.objects.all()) == [visible]
    assert Post.everything.count() == 3
    assert list(Category.objects.get().posts.all()) == [visible]


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"source_id": ""}, "app_post_source_id_not_empty"),
        ({"source_timestamp": None}, "app_post_version_is_whole"),
        ({"source_event": ""}, "app_post_version_is_whole"),
        ({"deleted_at": EPOCH}, "app_post_deleted_by_its_version"),
        (
            {"deleted_at": EPOCH + timedelta(days=1), "title": "", "body": ""},
            "app_post_deleted_by_its_version",
        ),
        (
            {"deleted_at": EPOCH, "source_timestamp": None, "source_event": ""},
            "app_post_deleted_by_its_version",
        ),
    ],
)
def test_the_database_refuses_posts_that_make_no_sense(
    values: dict[str, Any], constraint: str
) -> None:
    post = PostFactory()
    with pytest.raises(IntegrityError, match=constraint):
        Post.everything.filter(pk=post.pk).update(**values)


@pytest.mark.parametrize("factory", [CategoryFactory, TagFactory])
def test_names_are_unique_and_not_empty(factory: Any) -> None:
    factory(name="x")
    with pytest.raises(IntegrityError, match="name"):
        factory(name="x")


@pytest.mark.parametrize("model", [Category, Tag])
def test_an_empty_name_is_refused(model: Any) -> None:
    with pytest.raises(IntegrityError, match="name_not_empty"):
        model.objects.create(name="")


def test_a_source_id_is_unique() -> None:
    PostFactory(source_id="x")
    with pytest.raises(IntegrityError, match="app_post_source_id_unique"):
        PostFactory(source_id="x")


def test_a_webhook_id_is_unique_and_its_digest_a_sha256() -> None:
    first = WebhookDeliveryFactory()
    assert WebhookDelivery.objects.get(webhook_id=first.webhook_id).received_at is not None
    with pytest.raises(IntegrityError, match="app_delivery_digest_is_sha256"):
        WebhookDeliveryFactory(digest=b"short")


def test_a_webhook_id_is_taken_once() -> None:
    first = WebhookDeliveryFactory()
    with pytest.raises(IntegrityError, match="app_delivery_webhook_id_unique"):
        WebhookDeliveryFactory(webhook_id=first.webhook_id)


def test_the_tables_have_the_names_that_others_rely_on() -> None:
    names = set(connection.introspection.table_names())
    assert {
        "app_post",
        "app_category",
        "app_tag",
        "app_post_categories",
        "app_post_tags",
        "app_delivery",
    } <= names


def test_the_migrations_match_the_models() -> None:
    call_command("makemigrations", "app", check=True, dry_run=True, verbosity=0)


@pytest.mark.django_db(transaction=True)  # an index that is built beside the traffic takes none
def test_the_migrations_can_be_undone_and_done_again() -> None:
    call_command("migrate", "app", "zero", verbosity=0)
    assert "app_post" not in connection.introspection.table_names()
    call_command("migrate", "app", verbosity=0)
    assert PostFactory()
