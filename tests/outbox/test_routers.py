from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connections, router, transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.test import RequestFactory
from django.urls import ResolverMatch

from app.models import Category, Post, Tag, WebhookDelivery
from outbox.models import OutboxMessage
from outbox.routers import (
    ReplicaReadsMiddleware,
    ReplicaRouter,
    primary,
    replica_allowed,
    replica_reads,
)
from tests.waiting import eventually

stored = pytest.mark.django_db(transaction=True, databases=["default", "replica"])


def read_from(model: type[Model] = Post, **hints: Any) -> str:
    return router.db_for_read(model, **hints)


def replay_everything() -> None:
    """Wait until the replica has what the primary has."""
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn()")
        [[position]] = cursor.fetchall()

    def replayed() -> bool:
        with replica_reads(), connections["replica"].cursor() as cursor:
            cursor.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [position])
            [[answer]] = cursor.fetchall()
        return bool(answer)

    eventually(replayed)


@pytest.fixture
def post(transactional_db: None) -> Post:
    """A Post with a tag and a category, as read from the replica."""
    written = Post.everything.create(source_id="1", title="a title")
    written.tags.add(Tag.objects.create(name="a tag"))
    written.categories.add(Category.objects.create(name="a category"))
    replay_everything()
    with replica_reads():
        read = Post.everything.get()
    assert read._state.db == "replica"
    return read


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
def test_a_request_reads_the_replica_in_fact(post: Post, answer: Answer) -> None:
    def view() -> tuple[bool | None, list[str]]:
        with connections["replica"].cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery()")
            [[in_recovery]] = cursor.fetchall()
        return in_recovery, [tag.name for tag in post.tags.all()]

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
    post: Post,
) -> None:
    with primary():
        assert post.tags.get()._state.db == "default"
        assert post.categories.get()._state.db == "default"
        [fetched] = Post.everything.prefetch_related("tags")
        assert [tag._state.db for tag in fetched.tags.all()] == ["default"]
        post.refresh_from_db()
    assert post._state.db == "default"
    post._state.db = "replica"
    assert read_from(User, instance=post) == "default"
    with replica_reads():
        assert post.tags.get()._state.db == "replica"
        assert read_from(User, instance=post) == "default"


@stored
@pytest.mark.parametrize("model", [Post, User])
def test_writes_go_to_the_primary_whatever_the_object_came_from(
    post: Post, model: type[Model]
) -> None:
    with replica_reads():
        assert router.db_for_write(model, instance=post) == "default"


@stored
def test_an_object_of_the_replica_can_be_saved_and_related(post: Post, answer: Answer) -> None:
    def view() -> None:
        post.title = "another title"
        post.save()
        post.tags.add(Tag.objects.create(name="new"), post.tags.get(name="a tag"))

    answer(view)

    assert Post.everything.get().title == "another title"
    assert Post.everything.get().tags.count() == 2


@stored
def test_a_queryset_goes_where_it_is_evaluated(post: Post) -> None:
    made_outside = Post.everything.all()
    with replica_reads():
        made_inside = Post.everything.all()
        related_inside = post.tags.all()
        assert made_outside.get()._state.db == "replica"

    assert made_inside.get()._state.db == "default"
    assert related_inside.get()._state.db == "default"


def test_no_model_is_migrated_on_the_replica() -> None:
    assert not router.allow_migrate("replica", "app")
    assert router.allow_migrate("default", "app")


@stored
def test_objects_of_another_database_are_none_of_its_business(post: Post) -> None:
    stranger = Tag(name="elsewhere")
    stranger._state.db = "elsewhere"

    assert ReplicaRouter().allow_relation(post, stranger) is None
    assert ReplicaRouter().allow_relation(post, Post.everything.get()) is True


def test_threads_and_greenlets_of_a_task_read_the_primary() -> None:
    read: list[str] = []

    thread = threading.Thread(target=lambda: read.append(read_from()))
    thread.start()
    thread.join()
    gevent.spawn(lambda: read.append(read_from())).join()

    assert read == ["default", "default"]


def test_a_request_in_one_greenlet_leaves_another_alone() -> None:
    read: list[str] = []

    def view(_request: HttpRequest) -> HttpResponse:
        gevent.sleep(0)
        read.append(read_from())
        return HttpResponse()

    def other() -> None:
        read.append(read_from())

    request = gevent.spawn(ReplicaReadsMiddleware(view), RequestFactory().get("/"))
    gevent.joinall([request, gevent.spawn(other)], raise_error=True)

    assert read == ["default", "replica"]


def test_a_request_that_fails_leaves_nothing_behind() -> None:
    def fails(_request: HttpRequest) -> HttpResponse:
        assert replica_allowed("default")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ReplicaReadsMiddleware(fails)(RequestFactory().get("/"))

    assert not replica_allowed("default")


@pytest.mark.parametrize(
    ("names", "alias"),
    [
        ({"app_names": ["admin"], "namespaces": ["backstage"]}, "default"),
        ({"app_names": [], "namespaces": ["admin"]}, "default"),
        ({"app_names": ["shop"], "namespaces": ["shop"]}, "replica"),
        ({}, "replica"),
    ],
)
def test_the_admin_reads_the_primary(names: dict[str, Any], alias: str) -> None:
    read: list[str] = []

    def respond(request: HttpRequest) -> HttpResponseBase:
        # Django calls process_view after the request has been resolved, before the view.
        middleware.process_view(request, respond, (), {})
        read.append(read_from())
        return HttpResponse()

    middleware = ReplicaReadsMiddleware(respond)
    request = RequestFactory().get("/")
    request.resolver_match = ResolverMatch(respond, (), {}, **names)
    middleware(request)

    assert read == [alias]
    assert read_from() == "default"


@stored
def test_django_calls_the_middleware_for_the_admin(
    settings: LazySettings, client: Any, admin_user: User, post: Post
) -> None:
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "outbox.routers.ReplicaReadsMiddleware",
    ]
    client.force_login(admin_user)

    with forbidden_replica():
        response = client.get("/admin/app/post/")

    assert response.status_code == 200
    assert b"a title" in response.content


class forbidden_replica:  # noqa: N801 - reads like a function
    """A block in which any query on the replica fails, whoever may read it."""

    def __enter__(self) -> None:
        self._wrapper = connections["replica"].execute_wrapper(self._refuse)
        self._wrapper.__enter__()

    def __exit__(self, *error: object) -> None:
        self._wrapper.__exit__(None, None, None)

    @staticmethod
    def _refuse(*_call: Any) -> Any:
        raise AssertionError("the replica was read")


@stored
def test_a_streaming_response_reads_the_primary_while_it_is_sent(post: Post) -> None:
    def lines() -> Iterator[bytes]:
        yield str(Post.everything.get()._state.db).encode()

    response = ReplicaReadsMiddleware(lambda _request: StreamingHttpResponse(lines()))(
        RequestFactory().get("/")
    )

    assert isinstance(response, StreamingHttpResponse)
    assert response.getvalue() == b"default"
