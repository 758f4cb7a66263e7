from __future__ import annotations

from typing import Any

import pytest

from deploy.devstack.demo.comparison import GONE, differences, expected_names

POST = {
    "deleted": False,
    "title": "Grüße",
    "body": "a body",
    "changed_at": "2026-03-01T12:00:00+00:00",
    "categories": ["News"],
    "tags": ["a", "b"],
    "searchable": True,
}


def told(sent: dict[str, Any], arrived: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each.post_id, each.field) for each in differences(sent, arrived)]


def test_equal_posts_have_no_difference() -> None:
    gone = {**GONE, "changed_at": "2026-03-01T12:00:00+00:00"}
    assert differences({"1": POST, "2": GONE}, {"2": gone, "1": dict(POST)}) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("deleted", True),
        ("title", "Gru\u0308ße"),
        ("body", "a body "),
        ("changed_at", "2026-03-01T12:00:00.000001+00:00"),
        ("changed_at", None),
        ("categories", []),
        ("tags", ["a"]),
        ("searchable", False),
    ],
)
def test_each_field_that_differs_is_told(field: str, value: object) -> None:
    arrived = {"1": POST, "2": {**POST, field: value}}
    assert told({"1": POST, "2": POST}, arrived) == [("2", field)]


def test_a_post_too_few_and_one_too_many_are_told() -> None:
    assert told({"1": POST}, {"2": POST}) == [("1", ""), ("2", "")]


def test_a_deleted_post_that_arrived_alive_is_told_field_by_field() -> None:
    assert ("1", "deleted") in told({"1": GONE}, {"1": POST})
    assert ("1", "body") in told({"1": GONE}, {"1": POST})


def test_a_long_text_is_shown_where_it_first_differs() -> None:
    long = "x" * 5_000
    (found,) = differences(
        {"1": {**POST, "body": f"{long}one{long}"}}, {"1": {**POST, "body": f"{long}two{long}"}}
    )
    title, sender, arrived = found.lines()
    assert title == "  post 1: body"
    assert "one" in sender
    assert "two" in arrived
    assert max(len(line) for line in found.lines()) <= 120


def test_names_are_expected_in_one_form_trimmed_and_once() -> None:
    assert expected_names(["Cafe\u0301", "Café", " b ", "a"]) == ["Café", "a", "b"]
    assert expected_names(["\u0958"]) == ["\u0915\u093c"]
