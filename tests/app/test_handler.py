from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpResponse
from django.urls import path
from django.urls.converters import IntConverter

from app.handler import Handler
from app.intake import endpoint

pytestmark = pytest.mark.usefixtures("open_connections")


def answer_to(
    content_type: str, handler: Handler | None = None, **environ: Any
) -> tuple[str, list[tuple[str, str]]]:
    answers = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/webhooks/posts/",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": "2",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(b"{}"),
        "wsgi.errors": BytesIO(),
    } | environ
    response = (handler or Handler())(environ, lambda *told: answers.append(told))
    response.close()
    return answers[0]


def status_of(content_type: str, handler: Handler | None = None, **environ: Any) -> str:
    return answer_to(content_type, handler, **environ)[0]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset*=unknown''x",
        "application/json; charset=\x00",
        "application/json; a*0=1; a*1=2; a*=x'y'z%zz",
        "application/json; charset=" + "x" * 20_000,
        "; ;;=;",
        "\xff\xfe",
        "",
    ],
    ids=lambda value: repr(value)[:40],
)
def test_no_content_type_makes_the_handler_fail(content_type: str) -> None:
    assert status_of(content_type).startswith("401 ")


@pytest.mark.parametrize("length", ["abc", "-5", "", "\u0661"])
def test_no_content_length_makes_the_handler_fail(length: str) -> None:
    assert status_of("application/json", CONTENT_LENGTH=length).startswith("401 ")


@pytest.mark.parametrize(
    "environ",
    [
        {"QUERY_STRING": "a=%ff&b=\x00"},
        {"HTTP_COOKIE": "sessionid=\xff; csrftoken==;;"},
        {"HTTP_WEBHOOK_ID": "\xff\x00", "HTTP_WEBHOOK_SIGNATURE": "\xff"},
    ],
)
def test_other_strange_headers_are_no_error_either(environ: dict[str, str]) -> None:
    assert status_of("application/json", **environ).startswith("401 ")


def test_a_delivery_passes_by_what_serves_people_and_its_answer_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = answer_to("application/json")
    with monkeypatch.context() as patch:
        patch.setattr("app.chain.FOR_PEOPLE", frozenset())
        assert answer_to("application/json") == short

    def broken(*_: Any) -> None:
        raise LookupError("a delivery has no session")

    monkeypatch.setattr(SessionMiddleware, "process_request", broken)
    assert answer_to("application/json") == short
    assert status_of("", PATH_INFO="/livez").startswith("500 ")


class Addresses:
    """Where an app takes deliveries at many addresses, or at one that cannot be read."""

    urlpatterns = (
        path("webhooks/<int:number>/", endpoint(lambda *_, **__: HttpResponse(status=202))),
    )


def test_addresses_without_end_fill_no_memory(settings: Any) -> None:
    settings.ROOT_URLCONF = Addresses
    handler = Handler()
    for number in range(3):
        assert status_of("", handler, PATH_INFO=f"/webhooks/{number}/").startswith("202 ")
    assert handler._endpoints == {}


def test_a_fault_in_finding_the_view_is_an_answer_too(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise LookupError("no such thing")

    settings.ROOT_URLCONF = Addresses
    monkeypatch.setattr(IntConverter, "to_python", broken)
    assert status_of("", PATH_INFO="/webhooks/1/").startswith("500 ")
