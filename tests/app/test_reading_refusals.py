from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.test import Client

from app import reading
from app.cursor import Cursor
from outbox.routers import replica_reads
from tests.app.problems import problem_of
from tests.app.readers import HEADERS, TOKEN, ask
from tests.factories import EPOCH, PostFactory

PATHS = ("/posts/", "/posts/1/")


@pytest.fixture(autouse=True)
def _token(settings: Any) -> None:
    settings.READ_TOKENS = ["another-token-of-the-tests", TOKEN]


@pytest.mark.parametrize("path", PATHS)
def test_without_tokens_there_is_nothing(settings: Any, path: str) -> None:
    settings.READ_TOKENS = []
    for headers in ({}, HEADERS, {"authorization": "Bearer "}):
        problem_of(Client().get(path, headers=headers), 404)
    problem_of(Client().post(path), 404)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "given",
    [
        "Bearer",
        "Bearer ",
        "Bearer another",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN} {TOKEN}",
        "Bearer \xfc\xff",
    ],
)
def test_a_token_that_is_not_known_is_refused_before_the_database(path: str, given: str) -> None:
    answer = ask(path, {"authorization": given}, q="\x00")
    document = problem_of(answer, 401)
    assert answer["WWW-Authenticate"] == 'Bearer realm="posts", error="invalid_token"'
    assert TOKEN not in str(document)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [{}, {"authorization": f"Basic {TOKEN}"}])
def test_a_missing_token_is_asked_for(path: str, headers: dict[str, str]) -> None:
    answer = ask(path, headers)
    problem_of(answer, 401)
    assert answer["WWW-Authenticate"] == 'Bearer realm="posts"'
    assert "Data-Age" not in answer


@pytest.mark.django_db
@pytest.mark.parametrize("given", [f"bearer {TOKEN}", "Bearer another-token-of-the-tests"])
def test_each_token_reads(given: str) -> None:
    assert ask(headers={"authorization": given}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_refused(path: str) -> None:
    for method in ("post", "put", "patch", "delete", "options"):
        answer = getattr(Client(enforce_csrf_checks=True), method)(path, headers=HEADERS)
        problem_of(answer, 405)
        assert answer["Allow"] == "GET, HEAD"


@pytest.mark.django_db
def test_head_is_answered() -> None:
    PostFactory.create(source_id="1")
    for path in PATHS:
        answer = Client().head(path, headers=HEADERS)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer["Data-Age"]


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["-" * 20, "-" * 20 + "!" * 180, "- or " * 40, "-a" * 100])
def test_a_search_for_next_to_nothing_is_answered(text: str) -> None:
    assert ask(q=text).status_code == 200


def word(key: bytes) -> str:
    return urlsafe_b64encode(key).decode().rstrip("=")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("q", "x" * 201),
        ("q", "a\x00b"),
        ("q", "-" * 33),
        ("q", "-" * 200),
        ("q", f"a {'- ' * 40}b"),
        ("q", f"a {'-!' * 40}b"),
        ("tag", "a\x00b"),
        ("tag", "x" * 101),
        ("category", "\x00"),
        ("category", "x" * 101),
        ("after", "0"),
        ("after", "ü"),
        ("after", "\x00"),
        ("after", word(b"\x7f" + b"\xff" * 15)),
        ("after", word(b"\x80" + b"\x00" * 15)),
        ("after", word(b"\x00" * 15)),
        ("after", word(b"\x00" * 17)),
        ("after", f"{Cursor(EPOCH, 1)}="),
        ("after", f"{Cursor(EPOCH, 1)}\n"),
        ("after", f"{str(Cursor(EPOCH, 1))[:-1]}x"),
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "-1"),
        ("limit", "1.0"),
        ("limit", "ten"),
        ("limit", "²"),
        ("limit", "٣"),
        ("limit", "9" * 4000),
        ("page", "2"),
        ("Q", "word"),
        ("", "word"),
        ("\x00", "word"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(parameter: str, value: str) -> None:
    document = problem_of(ask(**{parameter: value}), 422)
    (error,) = document["errors"]
    assert error["parameter"] == parameter
    assert error["detail"]


def test_every_fault_of_the_parameters_is_told() -> None:
    answer = Client().get("/posts/?page=1&tag=a&tag=b&limit=x&after=0&q=a", headers=HEADERS)
    errors = problem_of(answer, 422)["errors"]
    assert [error["parameter"] for error in errors] == ["page", "tag", "after", "limit"]


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["q=%ff", "tag=%ff%fe", "q=%ed%a0%80", "&&&", "q", "=", "q=%"])
def test_no_bytes_of_a_query_are_a_fault_of_ours(query: str) -> None:
    answer = Client().get("/posts/", headers=HEADERS, QUERY_STRING=query)
    assert answer.status_code in (200, 422)


def test_too_many_parameters_are_a_bad_request() -> None:
    problem_of(Client().get("/posts/", headers=HEADERS, QUERY_STRING="a&" * 1001), 400)


@pytest.mark.django_db
@pytest.mark.parametrize("source_id", ["none", "%ff", "a/b", "x" * 3000])
def test_an_unknown_post_is_a_problem(source_id: str) -> None:
    problem_of(ask(f"/posts/{source_id}/"), 404)


def test_nul_is_in_no_address() -> None:
    problem_of(ask("/posts/%00/"), 404)


@pytest.mark.django_db
def test_a_cursor_of_any_place_is_taken() -> None:
    for key in (b"\x00" * 16, b"\x00" * 8 + b"\xff" * 8, b"\x00" * 8 + b"\x7f" + b"\xff" * 7):
        assert ask(after=word(key)).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_while_the_database_is_away_the_reader_is_asked_to_come_back(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def away(_: str) -> None:
        raise OperationalError("connection refused: host 10.0.0.1")

    monkeypatch.setattr(reading, "data_age", away)
    answer = ask(path)
    assert "10.0.0.1" not in str(problem_of(answer, 503))
    assert answer["Retry-After"]


def test_an_outage_is_logged_on_one_line_that_names_no_id(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(_: str) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(reading, "data_age", away)
    assert ask("/posts/secret%0Aforged/").status_code == 503
    [line] = [each.getMessage() for each in caplog.records if each.name == "app.problem"]
    told = "/posts/<source_id:source_id>/: connection refused"
    assert line == f"the database could not serve {told}"


@pytest.mark.django_db(transaction=True, databases=["default", "replica"])
def test_a_search_that_takes_too_long_is_ended_and_answered() -> None:
    def slow(execute: Any, sql: str, parameters: Any, *rest: Any) -> Any:
        if "app_post" in sql:
            sql, parameters = "SELECT pg_sleep(20)", None
        return execute(sql, parameters, *rest)

    replica = connections["replica"]
    with replica_reads(), replica.cursor() as cursor:
        cursor.execute("SET statement_timeout = '200ms'")
    try:
        with replica.execute_wrapper(slow):
            answer = ask()
    finally:
        replica.close()  # and its setting with it
    problem_of(answer, 503)
    assert answer["Retry-After"]
