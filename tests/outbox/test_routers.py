from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connections, router, transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from app.models import Category, Post, Tag, WebhookDelivery
from outbox.models import OutboxMessage
from outbox.routers import (
    ReplicaReadsMiddleware,
    ReplicaRouter,
    primary,
    replica_allowed,
    replica_reads,
)

stored = pytest.mark.django_db(transaction=True, databases=["default", "replica"])


def read_from(model: type[Model] = Post, **hints: Any) -> str:
    return router.db_for_read(model, **hints)


@pytest.fixture
def answer() -> Callable[[Callable[[], Any]], Any]:
    """Gives what a function returns when it is called in a web request."""

    def answer(view: Callable[[], Any]) -> Any:
        result: list[Any] = []

        def respond(_request: HttpRequest) -> HttpResponse:
            result.append(view())
            return HttpResponse()

        ReplicaReadsMiddleware(respond)(RequestFactory().get("/"))
        return result[0]

    return answer


Answer = Callable[[Callable[[], Any]], Any]


@pytest.mark.parametrize("model", [Post, Category, Tag, Post.tags.through, Post.categories.through])
def test_listed_models_and_their_relations_are_read_from_the_replica_in_a_request(
    answer: Answer, model: type[Model]
) -> None:
    assert answer(lambda: read_from(model)) == "replica"
    assert read_from(model) == "default"


@pytest.mark.parametrize("model", [WebhookDelivery, OutboxMessage, User, Session])
def test_every_other_model_is_read_from_the_primary(answer: Answer, model: type[Model]) -> None:
    assert answer(lambda: read_from(model)) == "default"


@stored
def test_a_request_reads_the_replica_in_fact(replica_post: Post, answer: Answer) -> None:
    def view() -> tuple[bool | None, list[str]]:
        with connections["replica"].cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery()")
            [[in_recovery]] = cursor.fetchall()
        return in_recovery, [tag.name for tag in replica_post.tags.all()]

    assert answer(view) == (True, ["a tag"])


def test_labels_are_compared_without_their_case(settings: LazySettings, answer: Answer) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "REPLICA_MODELS": ["APP.pOST"]}

    assert answer(lambda: [read_from(Post), read_from(Post.tags.through), read_from(Tag)]) == [
        "replica",
        "replica",
        "default",
    ]


def test_without_a_replica_the_router_has_no_opinion(settings: LazySettings) -> None:
    settings.OUTBOX = {**settings.OUTBOX, "REPLICA": None}
    silent = ReplicaRouter()

    with replica_reads():
        assert silent.db_for_read(Post) is None
        assert silent.db_for_write(Post) is None
    assert silent.allow_migrate("default", "app") is None


@stored
def test_a_transaction_on_the_primary_reads_what_it_wrote(answer: Answer) -> None:
    def view() -> list[str]:
        with transaction.atomic():
            inside = read_from()
        return [inside, read_from()]

    assert answer(view) == ["default", "replica"]


def test_a_pinned_block_reads_the_primary(answer: Answer) -> None:
    def view() -> list[str]:
        with primary():
            with primary():
                twice = read_from()
            with replica_reads():
                stronger = read_from()
            once = read_from()
        return [twice, stronger, once, read_from()]

    assert answer(view) == ["default", "default", "default", "replica"]


def test_a_pinned_function_reads_the_primary_each_time(answer: Answer) -> None:
    pinned = primary()(read_from)

    assert answer(lambda: [pinned(), pinned(), read_from()]) == ["default", "default", "replica"]


def test_a_pin_ends_with_an_exception() -> None:
    with replica_reads():
        with pytest.raises(ZeroDivisionError), primary():
            raise ZeroDivisionError
        assert replica_allowed("default")


@stored
def test_what_is_reached_from_an_object_of_the_replica_is_read_from_the_primary_when_pinned(
    replica_post: Post,
) -> None:
    with primary():
        assert replica_post.tags.get()._state.db == "default"
        assert replica_post.categories.get()._state.db == "default"
        [fetched] = Post.everything.prefetch_related("tags")
        assert [tag._state.db for tag in fetched.tags.all()] == ["default"]
        replica_post.refresh_from_db()
    assert replica_post._state.db == "default"
    replica_post._state.db = "replica"
    assert read_from(User, instance=replica_post) == "default"
    with replica_reads():
        assert replica_post.tags.get()._state.db == "replica"
        assert read_from(User, instance=replica_post) == "default"


@stored
@pytest.mark.parametrize("model", [Post, User])
def test_writes_go_to_the_primary_whatever_the_object_came_from(
    replica_post: Post, model: type[Model]
) -> None:
    with replica_reads():
        assert router.db_for_write(model, instance=replica_post) == "default"


@stored
def test_an_object_of_the_replica_can_be_saved_and_related(
    replica_post: Post, answer: Answer
) -> None:
    def view() -> None:
        replica_post.title = "another title"
        replica_post.save()
        replica_post.tags.add(Tag.objects.create(name="new"), replica_post.tags.get(name="a tag"))

    answer(view)

    assert Post.everything.get().title == "another title"
    assert Post.everything.get().tags.count() == 2


@stored
def test_a_queryset_goes_where_it_is_evaluated(replica_post: Post) -> None:
    made_outside = Post.everything.all()
    with replica_reads():
        made_inside = Post.everything.all()
        related_inside = replica_post.tags.all()
        assert made_outside.get()._state.db == "replica"

    assert made_inside.get()._state.db == "default"
    assert related_inside.get()._state.db == "default"


def test_no_model_is_migrated_on_the_replica() -> None:
    assert not router.allow_migrate("replica", "app")
    assert router.allow_migrate("default", "app")


@stored
def test_objects_of_another_database_are_none_of_its_business(replica_post: Post) -> None:
    stranger = Tag(name="elsewhere")
    stranger._state.db = "elsewhere"

    assert ReplicaRouter().allow_relation(replica_post, stranger) is None
    assert ReplicaRouter().allow_relation(replica_post, Post.everything.get()) is True


def test_threads_and_greenlets_of_a_task_read_the_primary() -> None:
    read: list[str] = []

    thread = threading.Thread(target=lambda: read.append(read_from()))
    thread.start()
    thread.join()
    gevent.spawn(lambda: read.append(read_from())).join()

    assert read == ["default", "default"]
