"""Headers of every answer, whoever gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from app import group_commit, health
from tests.factories import SECRET, PostFactory, signed_delivery

pytestmark = pytest.mark.django_db

TOKEN = "a-token-of-these-tests"
URL = "/webhooks/posts/"
BEARER = {"authorization": f"Bearer {TOKEN}"}

Ask = Callable[[Client], Any]


def deliver(content: Any = None, **changes: Any) -> Ask:
    delivery = signed_delivery(content, **changes)
    return lambda client: client.post(URL, **delivery.request)


def get(path: str, **headers: str) -> Ask:
    return lambda client: client.get(path, headers=headers)


ANSWERS: dict[str, tuple[int, Ask]] = {
    "accepted": (202, lambda client: deliver()(client)),
    "not JSON": (400, lambda client: deliver(b"{")(client)),
    "not signed": (401, lambda client: client.post(URL, b"{}", "application/json")),
    "not an event": (422, lambda client: deliver(b"{}")(client)),
    "not a POST": (405, get(URL)),
    "too large": (413, lambda client: deliver(b"x" * 2000)(client)),
    "another type": (
        415,
        lambda client: client.post(
            URL, **signed_delivery().request | {"content_type": "text/plain"}
        ),
    ),
    "alive": (200, get("/livez")),
    "not ready": (500, get("/readyz")),
    "Posts": (200, get("/posts/", **BEARER)),
    "one Post": (200, get("/posts/post-here/", **BEARER)),
    "no token": (401, get("/posts/")),
    "no such message": (404, get("/messages/x/")),
    "nothing there": (404, get("/nowhere/")),
    "another host": (400, get("/livez", host="elsewhere")),
    "login": (200, get("/admin/login/")),
    "the admin, for strangers": (302, get("/admin/")),
    "the admin, without its slash": (302, get("/admin")),
    "a form without its token": (403, lambda client: client.post("/admin/login/")),
    "nothing there, for people": (302, get("/admin/nowhere/")),
    "another host, for people": (400, get("/admin/", host="elsewhere")),
    "a file of the admin": (200, get("/static/admin/css/base.css")),
    "no file of the admin": (404, get("/static/admin/css/none.css")),
}


@pytest.fixture
def answer(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Ask], Any]]:
    """Ask as a client does that sees what a program outside would."""

    def broken() -> None:
        raise RuntimeError("a fault with a secret in it")

    monkeypatch.setattr(health.readiness, "checks", broken)
    settings.WEBHOOK_SECRETS = [SECRET]
    settings.WEBHOOK_MAX_BODY_BYTES = 1000
    settings.READ_TOKENS = [TOKEN]
    PostFactory(source_id="post-here")
    with ExitStack() as files:

        def answer(ask: Ask) -> Any:
            client = Client(enforce_csrf_checks=True, raise_request_exception=False)
            response = ask(client)
            files.callback(response.close)
            return response

        yield answer


@pytest.mark.parametrize(("status", "ask"), ANSWERS.values(), ids=ANSWERS.keys())
def test_every_answer_has_them_and_tells_nothing_of_the_inside(
    answer: Callable[[Ask], Any], status: int, ask: Ask
) -> None:
    response = answer(ask)
    assert response.status_code == status
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert response["Cache-Control"]
    told = f"{response.headers}".encode() + response.getvalue()
    for word in (b"Traceback", b"RuntimeError", b"a fault with", b"ython/", b"jango/", b"/app/"):
        assert word not in told
    for name in ("Server", "X-Powered-By", "Via"):
        assert name not in response


def test_an_outage_is_an_answer_like_any_other(
    answer: Callable[[Ask], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError('connection to server at "10.0.0.1", port 5432 failed')

    monkeypatch.setattr(group_commit, "store_arrival", away)
    response = answer(deliver())
    assert response.status_code == 503
    assert response["Cache-Control"] == "no-store"
    assert b"10.0.0.1" not in response.content


@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("/messages/x/", "no-store"),
        ("/livez", "no-store"),
        ("/posts/", "no-store"),  # without a token
        ("/admin/login/", "max-age=0, no-cache, no-store, must-revalidate, private"),
    ],
)
def test_what_may_not_be_kept_says_so(answer: Callable[[Ask], Any], path: str, policy: str) -> None:
    assert answer(get(path))["Cache-Control"] == policy


def test_what_a_view_says_of_copies_stands(answer: Callable[[Ask], Any]) -> None:
    assert answer(get("/posts/", **BEARER))["Cache-Control"] == "private, no-cache"
    assert "max-age" in answer(get("/static/admin/css/base.css"))["Cache-Control"]


def test_pages_run_the_admins_own_scripts_alone(admin_client: Any) -> None:
    title = "<script>alert(1)</script>"
    PostFactory(title=title, source_id="post-here")
    page = admin_client.get("/admin/app/post/")
    directives = page["Content-Security-Policy"].split("; ")
    assert "script-src 'self'" in directives
    assert "connect-src 'self'" in directives
    assert title not in page.content.decode()
    assert b"<script>" not in page.content
    assert b"&lt;script&gt;" in page.content


def test_over_tls_browsers_are_told_to_stay_there(settings: Any) -> None:
    settings.SECURE_HSTS_SECONDS = 3600
    assert Client().get("/livez", secure=True)["Strict-Transport-Security"] == "max-age=3600"


def test_an_answer_in_a_frame_is_refused_by_old_browsers_too() -> None:
    assert Client().get("/livez")["X-Frame-Options"] == "DENY"
