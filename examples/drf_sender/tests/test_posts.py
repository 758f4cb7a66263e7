"""Changes through the API, and the webhooks that are stored with them."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from outbox.models import OutboxMessage
from outbox.testing import assert_enqueued
from rest_framework.test import APIClient

from blog.models import Post, Tag
from blog.tasks import notify

WRITTEN = {"title": "Grüße 👋", "body": " ", "categories": ["News"], "tags": ["b", "a", "b"]}


def stored() -> list[dict[str, Any]]:
    """The events in the outbox, oldest first."""
    return [json.loads(each.payload["body"]) for each in OutboxMessage.objects.all()]


@pytest.mark.django_db
def test_a_new_post_is_stored_with_its_webhook(api: APIClient) -> None:
    answer = api.post("/posts/", WRITTEN, format="json")

    assert answer.status_code == 201
    post = Post.objects.get()
    data = WRITTEN | {"id": str(post.pk), "tags": ["a", "b"]}
    event = {"type": "post.created", "timestamp": post.changed_at.isoformat(), "data": data}
    assert stored() == [event]
    body = OutboxMessage.objects.get().payload["body"]
    assert str(assert_enqueued(notify, body=body).id) == answer.headers["Webhook-Id"]
    assert answer.json()["tags"] == ["a", "b"]


@pytest.mark.django_db
def test_each_change_tells_the_whole_post_and_a_deletion_its_id(api: APIClient) -> None:
    path = f"/posts/{api.post('/posts/', WRITTEN, format='json').json()['id']}/"

    api.patch(path, {"tags": []}, format="json")
    api.put(path, {"title": "new"}, format="json")
    assert api.delete(path).status_code == 204

    created, patched, put, deleted = stored()
    assert patched["data"] == created["data"] | {"tags": []}
    assert (put["data"]["title"], put["data"]["categories"]) == ("new", [])
    assert deleted["data"] == {"id": created["data"]["id"]}
    assert not Post.objects.exists()


@pytest.mark.django_db
def test_versions_follow_each_other_when_the_clock_stands_or_goes_back(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))
    path = f"/posts/{api.post('/posts/', WRITTEN, format='json').json()['id']}/"
    api.patch(path, {"title": "second"}, format="json")
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 2, 1, tzinfo=UTC))
    api.patch(path, {"title": "third"}, format="json")
    api.delete(path)

    times = [datetime.fromisoformat(event["timestamp"]) for event in stored()]
    assert len(times) == 4
    assert times == sorted(set(times))


@pytest.mark.django_db
@pytest.mark.parametrize(
    "wrong", [{"title": "x" * 501}, {"body": "x" * 150_001}, {"tags": ["new", "x" * 101]}]
)
def test_what_the_receiver_would_refuse_is_refused_here(
    api: APIClient, wrong: dict[str, Any]
) -> None:
    assert api.post("/posts/", WRITTEN | wrong, format="json").status_code == 400
    assert (Post.objects.count(), Tag.objects.count(), stored()) == (0, 0, [])


@pytest.mark.django_db
def test_a_post_is_not_stored_without_its_webhook(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("no outbox")

    monkeypatch.setattr(notify, "enqueue", fail)
    with pytest.raises(RuntimeError, match="no outbox"):
        api.post("/posts/", WRITTEN, format="json")
    assert not Post.objects.exists()


@pytest.mark.django_db
def test_names_are_made_in_one_order_so_that_nobody_deadlocks() -> None:
    Tag.objects.create(name="b")

    assert {tag.name for tag in Tag.of(["c", "b", "a", "c"])} == {"a", "b", "c"}
    assert [tag.name for tag in Tag.objects.order_by("id")] == ["b", "a", "c"]


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_the_second_sees_the_first() -> None:
    post = Post.objects.create(title="first", body="first")

    def change() -> None:
        try:
            APIClient().patch(f"/posts/{post.pk}/", {"body": "second"}, format="json")
        finally:
            connection.close()

    second = threading.Thread(target=change)
    with transaction.atomic():
        held = Post.objects.select_for_update().get(pk=post.pk)
        second.start()
        wait_until_somebody_waits_for_us()
        held.title, held.changed_at = "changed", held.next_version()
        held.save()
    second.join(20)

    post.refresh_from_db()
    assert (post.title, post.body) == ("changed", "second")
    assert post.changed_at > held.changed_at
    assert stored()[0]["data"]["title"] == "changed"


def wait_until_somebody_waits_for_us() -> None:
    until = time.monotonic() + 20
    with connection.cursor() as cursor:
        while time.monotonic() < until:
            cursor.execute(
                "SELECT FROM pg_locks"
                " WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
            )
            if cursor.rowcount:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits for us")
