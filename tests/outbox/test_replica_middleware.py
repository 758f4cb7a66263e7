from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connections, router
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.test import RequestFactory
from django.urls import ResolverMatch

from app.models import Post
from outbox.routers import ReplicaReadsMiddleware, replica_allowed

stored = pytest.mark.django_db(transaction=True, databases=["default", "replica"])


def read_from() -> str:
    return router.db_for_read(Post)


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
    settings: LazySettings, client: Any, admin_user: User, replica_post: Post
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
def test_a_streaming_response_reads_the_primary_while_it_is_sent(replica_post: Post) -> None:
    def lines() -> Iterator[bytes]:
        yield str(Post.everything.get()._state.db).encode()

    response = ReplicaReadsMiddleware(lambda _request: StreamingHttpResponse(lines()))(
        RequestFactory().get("/")
    )

    assert isinstance(response, StreamingHttpResponse)
    assert response.getvalue() == b"default"
