from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from app.models import Category, Post, Tag, WebhookDelivery
from tests.factories import PostFactory, WebhookDeliveryFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", ["category", "tag", "post", "webhookdelivery"])
def test_every_list_can_be_opened_and_searched(admin_client: Any, model: str) -> None:
    PostFactory(categories=["x"], tags=["y"])
    WebhookDeliveryFactory()
    url = reverse(f"admin:app_{model}_changelist")
    for query in ({}, {"q": "x"}, {"q": "\x00"}, {"q": "6f1dc0de-0000-4000-8000-000000000000"}):
        assert admin_client.get(url, query).status_code == 200


def test_the_list_shows_what_readers_do_not_see(admin_client: Any) -> None:
    PostFactory(source_id="never filled", unfilled=True)
    PostFactory(source_id="tombstone", deleted=True)
    page = admin_client.get(reverse("admin:app_post_changelist")).content.decode()
    assert "never filled" in page
    assert "tombstone" in page


def test_an_edit_of_a_post_keeps_its_version_and_its_search_vector_up_to_date(
    admin_client: Any,
) -> None:
    post = PostFactory(title="before", tags=["old"])
    tag = Tag.objects.create(name="fresh")
    response = admin_client.post(
        reverse("admin:app_post_change", args=[post.pk]),
        {"title": "after", "body": "", "tags": [tag.pk], "source_id": "x", "source_event": "x"},
    )
    assert response.status_code == 302
    edited = Post.objects.get()
    assert (edited.title, edited.source_id) == ("after", post.source_id)
    assert (edited.source_event, edited.source_timestamp) == (
        post.source_event,
        post.source_timestamp,
    )
    assert edited.search_vector == "'after':1A 'fresh':2B"


def test_a_tombstone_can_be_looked_at_and_not_be_edited(admin_client: Any) -> None:
    url = reverse("admin:app_post_change", args=[PostFactory(deleted=True).pk])
    assert admin_client.get(url).status_code == 200
    assert admin_client.post(url, {"title": "x", "body": "x"}).status_code == 403


def test_nobody_adds_a_post_or_renames_a_category(admin_client: Any) -> None:
    assert admin_client.get(reverse("admin:app_post_add")).status_code == 403
    category = Category.objects.create(name="kept")
    admin_client.post(reverse("admin:app_category_change", args=[category.pk]), {"name": "other"})
    assert Category.objects.get().name == "kept"


def test_the_ledger_is_read_only(admin_client: Any) -> None:
    delivery = WebhookDeliveryFactory()
    change = reverse("admin:app_webhookdelivery_change", args=[delivery.pk])
    assert admin_client.get(change).status_code == 200
    assert admin_client.post(change, {"webhook_id": "x"}).status_code == 403
    delete = reverse("admin:app_webhookdelivery_delete", args=[delivery.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    assert admin_client.get(reverse("admin:app_webhookdelivery_add")).status_code == 403
    assert WebhookDelivery.objects.exists()
