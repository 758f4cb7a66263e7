"""The way of a delivery past most of Django's handler: the caller does not notice it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from django.core.signals import request_finished, request_started
from django.db import connections
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from app import group_commit
from app.handler import Handler
from app.intake import endpoint
from app.ledger import Acceptance
from outbox.states import State
from tests.factories import Delivery, signed_delivery

URL = "/webhooks/posts/"
TABLES = pytest.mark.django_db(transaction=True)

Answer = tuple[str, list[tuple[str, str]], bytes]
Ask = Callable[..., Any]


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is stored, as it were, and without a connection."""
    accepted = Acceptance(UUID(int=7), State.PENDING)
    monkeypatch.setattr(group_commit, "store_arrival", lambda _: accepted)


@pytest.fixture
def signals() -> Iterator[list[str]]:
    """The signals of requests that were sent."""
    sent: list[str] = []

    def started(**_: Any) -> None:
        sent.append("started")

    def finished(**_: Any) -> None:
        sent.append("finished")

    request_started.connect(started)
    request_finished.connect(finished)
    yield sent
    request_started.disconnect(started)
    request_finished.disconnect(finished)


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    """One thread, which begins without connections, as those of a server do."""
    with ThreadPoolExecutor(1) as executor:
        yield executor
        executor.submit(connections.close_all).result()


@pytest.fixture
def ask(thread: ThreadPoolExecutor) -> Ask:
    """Ask as a server does, in that thread."""
    return lambda *given, **environ: thread.submit(_ask, *given, **environ).result()


def _ask(handler: Handler, delivery: Delivery | None = None, **environ: Any) -> Answer:
    """Its status, its headers in one order, and its body."""
    delivery = delivery or signed_delivery()
    told: list[tuple[str, list[tuple[str, str]]]] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": URL,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "localhost",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(delivery.body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(delivery.body),
        "wsgi.errors": BytesIO(),
        **{f"HTTP_{name.upper().replace('-', '_')}": v for name, v in delivery.headers.items()},
        **environ,
    }
    answer = handler(environ, lambda status, headers: told.append((status, headers)))  # type: ignore[arg-type,return-value]
    body = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    [(status, headers)] = told
    return status, sorted(headers), body


REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "good": ("202", {}),
    "good, by TLS": ("202", {"wsgi.url_scheme": "https"}),
    "not signed": ("401", {"HTTP_WEBHOOK_SIGNATURE": ""}),
    "not a POST": ("405", {"REQUEST_METHOD": "GET"}),
    "a HEAD": ("405", {"REQUEST_METHOD": "HEAD"}),
    "too large": ("413", {"CONTENT_LENGTH": "9999999999"}),
    "another type": ("415", {"CONTENT_TYPE": "text/plain"}),
    "a strange type": ("415", {"CONTENT_TYPE": "text/plain; charset*=unknown''x"}),
    "cut off": ("400", {"wsgi.input": BytesIO()}),
}


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(("status", "environ"), REQUESTS.values(), ids=REQUESTS)
def test_a_delivery_in_short_is_answered_as_it_is_at_length(
    ask: Ask, settings: Any, signals: list[str], status: str, environ: dict[str, Any]
) -> None:
    settings.SECURE_HSTS_SECONDS = 60
    handler, delivery = Handler(), signed_delivery()
    at_length = ask(handler, delivery, **environ)  # the address is not known yet
    assert (at_length[0][:3], signals) == (status, ["started", "finished"])
    assert ask(handler, delivery, **environ) == at_length
    assert signals == ["started", "finished"]


def test_another_host_is_refused_in_short_too(ask: Ask) -> None:
    handler = Handler()
    at_length, in_short = (ask(handler, HTTP_HOST="elsewhere") for _ in range(2))
    assert at_length[0].startswith("400")
    assert (in_short[0], in_short[2]) == (at_length[0], at_length[2])
    assert set(in_short[1]) - set(at_length[1]) == {("X-Frame-Options", "DENY")}
    assert set(at_length[1]) <= set(in_short[1])


@pytest.mark.usefixtures("stored")
def test_plain_http_is_redirected_each_time(ask: Ask, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    handler = Handler()
    assert ask(handler, **{"wsgi.url_scheme": "https"})[0].startswith("202")
    for _ in range(2):
        status, headers, _ = ask(handler)
        assert status.startswith("301")
        assert ("Location", f"https://localhost{URL}") in headers
    assert ask(handler, **{"wsgi.url_scheme": "https"})[0].startswith("202")


class Marking:
    """Middleware of an adopter's."""

    def __init__(self, get_response: Callable[[Any], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        answer = self._get_response(request)
        answer.headers["X-Request-Id"] = "17"
        answer.headers["referrer-policy"] = "origin"
        answer.set_cookie("seen", "yes")
        return answer


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("first", [True, False])
def test_middleware_of_others_runs_and_has_its_say(ask: Ask, settings: Any, first: bool) -> None:
    own = [f"{__name__}.Marking"]
    settings.MIDDLEWARE = own + settings.MIDDLEWARE if first else settings.MIDDLEWARE + own
    handler, delivery = Handler(), signed_delivery()
    at_length, in_short = ask(handler, delivery), ask(handler, delivery)
    assert in_short == at_length
    names = [name.lower() for name, _ in in_short[1]]
    assert ("X-Request-Id", "17") in in_short[1]
    assert ("referrer-policy", "origin") in in_short[1]
    assert names.count("referrer-policy") == names.count("set-cookie") == 1


def broken(_: Any) -> HttpResponse:
    raise LookupError("a fault of ours")


def streaming(_: Any) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter([b"a", b"b"]), status=202)


class Addresses:
    """Endpoints that do what others do not."""

    urlpatterns = (
        path("broken/", endpoint(broken)),
        path("streaming/", endpoint(streaming)),
    )
    handler500 = "app.errors.server_error"


def test_a_fault_is_a_problem_that_is_logged(
    ask: Ask, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ROOT_URLCONF = Addresses
    handler = Handler()
    at_length, in_short = (ask(handler, PATH_INFO="/broken/") for _ in range(2))
    assert in_short == at_length
    assert in_short[0].startswith("500")
    assert b"The service has a fault." in in_short[2]
    faults = [each for each in caplog.records if each.exc_info]
    assert len(faults) == 2
    assert all("/broken/" in each.getMessage() for each in faults)


def test_an_answer_in_parts_is_sent_in_parts(ask: Ask, settings: Any, signals: list[str]) -> None:
    settings.ROOT_URLCONF = Addresses
    handler = Handler()
    at_length, in_short = (ask(handler, PATH_INFO="/streaming/") for _ in range(2))
    assert in_short == at_length
    assert in_short[2] == b"ab"
    assert signals == ["started", "finished", "finished"]


@TABLES
def test_a_connection_that_a_delivery_has_used_is_looked_after(
    ask: Ask, thread: ThreadPoolExecutor, signals: list[str]
) -> None:
    """Each is stored on a connection of Django's: nobody commits in groups here."""
    handler = Handler()

    def session(max_age: int | None) -> Any:
        wrapper = connections["default"]
        wrapper.settings_dict["CONN_MAX_AGE"] = max_age
        return wrapper.connection

    thread.submit(session, 0).result()
    for number in (1, 2):
        assert ask(handler)[0].startswith("202")
        assert thread.submit(session, 0).result() is None
        assert signals.count("finished") == number


@TABLES
def test_a_connection_that_was_left_open_is_looked_at_before_a_delivery(
    ask: Ask, thread: ThreadPoolExecutor
) -> None:
    handler = Handler()

    def left_open() -> Any:
        wrapper = connections["default"]
        wrapper.settings_dict["CONN_MAX_AGE"] = None
        wrapper.close_at = 0.0  # too old by now
        return wrapper.connection

    thread.submit(left_open).result()
    assert ask(handler)[0].startswith("202")
    before = thread.submit(left_open).result()
    assert not before.closed
    assert ask(handler)[0].startswith("202")
    assert before.closed
