from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from app.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _connections_of_other_tests_stay_open() -> Iterator[None]:
    """As Django's own test client does it: a request would close the connection of the test."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def status_of(content_type: str, **environ: Any) -> str:
    statuses = []
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
    response = Handler()(environ, lambda status, *_: statuses.append(status))
    response.close()
    return statuses[0]


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
