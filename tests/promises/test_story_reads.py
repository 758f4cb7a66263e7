"""Where each kind of read goes, told by what it sees: the replica stands still at an old version.

In a web request the old one; in a task, in the admin and for the outbox's own tables the new one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.test import Client
from django.urls import path, reverse

import outbox
from app.models import Post
from outbox.consumer import consume
from outbox.routers import primary
from tests.app.filling import in_thread
from tests.conftest import Declare
from tests.factories import event
from tests.promises.by_hand import index, indexed, prepare_all, take_in
from tests.promises.reads import NEW, OLD, Reads, every_kind_of_read
from tests.promises.replay import Replay, steered

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "replica"])


@pytest.fixture
def replay(transactional_db: None) -> Iterator[Replay]:
    """The replica stands still with "old" in title, category and tag; the primary has "new"."""
    with steered() as replay:
        take_in(event(title="old", categories=["old"], tags=["old"]))
        prepare_all()
        replay.pause()
        take_in(event("post.updated", at=1, title="new", categories=["new"], tags=["new"]))
        take_in(event(source_id="post-2"))
        prepare_all()
        yield replay


@pytest.fixture
def request_of(settings: Any) -> Callable[[Callable[[], Any]], Any]:
    """What a function gives in a real web request, through all of the service's middleware."""

    def request_of(read: Callable[[], Any]) -> Any:
        def view(_request: HttpRequest) -> JsonResponse:
            return JsonResponse({"answer": read()})

        settings.ROOT_URLCONF = (path("read/", view),)
        return Client().get("/read/").json()["answer"]

    return request_of


Request = Callable[[Callable[[], Any]], Any]


TASKS = list(itertools.product(["atomic", "leased"], ["solo", "threads"]))


@pytest.fixture
def tasks_of(declare: Declare) -> Request:
    """What a function gives in tasks with and without a transaction, each in two kinds of pool."""
    answers: list[Any] = []

    def run(read: Callable[[], Any], kind: str, pool: str) -> None:
        name = f"story.{kind}.{pool}"
        options = {} if kind == "atomic" else {"atomic": False, "time_limit": 10}
        task = declare(name, name=name, **options)(lambda: answers.append(read()))
        with transaction.atomic():
            message = outbox.add(name)

        def work() -> str:
            return consume(task, message.id, again=False)

        assert (in_thread(work) if pool == "threads" else work()) == "done"

    def tasks_of(read: Callable[[], Any]) -> list[Any]:
        for kind, pool in TASKS:
            run(read, kind, pool)
        return answers

    return tasks_of


def test_a_request_sees_what_the_replica_has_in_every_kind_of_read(
    replay: Replay, request_of: Request
) -> None:
    assert request_of(lambda: every_kind_of_read(Post.objects.get(source_id="post-1"))) == OLD


def test_a_task_sees_what_the_primary_has_in_every_kind_of_read(
    replay: Replay, tasks_of: Request
) -> None:
    assert tasks_of(lambda: every_kind_of_read(Post.objects.get(source_id="post-1"))) == [
        NEW
    ] * len(TASKS)


def test_what_a_request_read_from_the_replica_leads_a_task_to_the_primary(
    replay: Replay, request_of: Request, tasks_of: Request
) -> None:
    kept: list[Post] = []
    request_of(lambda: kept.append(Post.objects.get(source_id="post-1")))
    assert (kept[0]._state.db, kept[0].title) == ("replica", "old")

    assert tasks_of(lambda: every_kind_of_read(kept[0])) == [NEW] * len(TASKS)


def test_a_queryset_made_in_a_request_and_evaluated_in_a_task_reads_the_primary(
    replay: Replay, request_of: Request, tasks_of: Request
) -> None:
    lazy: list[Any] = []

    def view() -> None:
        post = Post.objects.get(source_id="post-1")
        for _ in TASKS:  # one for each: a queryset is evaluated once
            lazy.append((Post.objects.filter(pk=post.pk), post.tags.all()))

    request_of(view)

    def names() -> list[str]:
        return [str(row) for queryset in lazy.pop() for row in queryset]

    assert tasks_of(names) == [["new", "new"]] * len(TASKS)


def test_a_queryset_that_was_evaluated_in_a_request_keeps_the_old_rows(
    replay: Replay, request_of: Request, tasks_of: Request
) -> None:
    """Its rows are values: a task must ask again, and a copy of the queryset does."""
    kept: list[Any] = []

    def view() -> None:
        posts = Post.objects.filter(source_id="post-1")
        kept.extend((posts, len(posts)))

    request_of(view)

    def titles(posts: Any) -> list[str]:
        return [post.title for post in posts]

    seen_twice = tasks_of(lambda: [titles(kept[0]), titles(kept[0].all())])
    assert seen_twice == [[["old"], ["new"]]] * len(TASKS)


def test_a_field_that_a_request_left_unread_is_read_from_the_primary_in_a_task(
    replay: Replay, request_of: Request, tasks_of: Request
) -> None:
    kept: list[Post] = []
    unread = Post.objects.only("pk").filter(source_id="post-1")
    request_of(lambda: kept.extend(unread.get() for _ in TASKS))
    assert kept[0]._state.db == "replica"

    assert tasks_of(lambda: kept.pop().title) == ["new"] * len(TASKS)


def test_a_request_that_pins_or_opens_a_transaction_sees_the_primary(
    replay: Replay, request_of: Request
) -> None:
    def view() -> list[Reads]:
        post = Post.objects.get(source_id="post-1")
        with primary():
            pinned = every_kind_of_read(post)
        with transaction.atomic():
            inside = every_kind_of_read(post)
        return [pinned, inside, every_kind_of_read(post)]

    assert request_of(view) == [NEW, NEW, OLD]


def test_the_admin_shows_and_edits_what_the_primary_has(
    replay: Replay, client: Client, admin_user: User
) -> None:
    client.force_login(admin_user)  # the session, too, is on the primary alone
    post = Post.objects.get(source_id="post-1")
    change = reverse("admin:app_post_change", args=[post.pk])
    listed = client.get(reverse("admin:app_post_changelist")).content.decode()
    form = client.get(change).context["adminform"].form
    names = client.get(
        reverse("admin:autocomplete"),
        {"app_label": "app", "model_name": "post", "field_name": "tags", "term": "new"},
    ).json()["results"]

    assert ("post-2" in listed, "new" in listed, ">old<" in listed) == (True, True, False)
    assert form.instance.title == "new"
    assert [tag.name for tag in form.initial["tags"]] == ["new"]
    assert [name["text"] for name in names] == ["new"]

    tags = [tag.pk for tag in form.initial["tags"]]
    response = client.post(change, {"title": "edited", "body": "", "tags": tags})
    assert response.status_code == 302
    assert indexed("post-1") == {"edited", "new"}


def test_when_the_replica_has_caught_up_a_request_sees_the_new_version(
    replay: Replay, request_of: Request
) -> None:
    replay.resume()

    assert request_of(lambda: every_kind_of_read(Post.objects.get(source_id="post-1"))) == NEW


def test_the_task_of_the_service_reads_nothing_from_the_replica_in_a_request_either(
    replay: Replay, request_of: Request
) -> None:
    """Its reads name the primary, so that not even the wrong process can lead it astray."""
    message_id = take_in(event("post.updated", at=2, title="newest", body="", tags=["last"]))
    prepare_all()

    assert request_of(lambda: index(message_id)) == "done"

    assert indexed("post-1") == {"newest", "news", "last"}
