from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.payload import Event, Invalid, Malformed, parse
from app.strict_json import storable_json
from tests.factories import event


def parsed(source_id: str = "post-1", **data: Any) -> Event:
    return parse(json.dumps(event("post.created", source_id, **data)).encode())


def errors_of(content: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        parse(json.dumps(content).encode())
    return {error.pointer: error.detail for error in caught.value.errors}


@pytest.mark.parametrize("event_type", ["post.created", "post.updated"])
def test_a_whole_event_is_taken_as_it_is(event_type: str) -> None:
    content = event(event_type, "42", title="T", body="B", categories=["x"], tags=["y", "z"])
    content["timestamp"] = "2026-01-01T02:00:00.123456+02:00"
    assert parse(json.dumps(content).encode()) == Event(
        event_type,
        datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC),
        "42",
        "T",
        "B",
        ("x",),
        ("y", "z"),
    )


def test_a_deletion_needs_the_id_alone_and_keeps_nothing_else() -> None:
    content = event("post.deleted", "42", title=5, tags="no list")
    assert parse(json.dumps(content).encode()) == Event(
        "post.deleted", datetime(2026, 1, 1, tzinfo=UTC), "42"
    )


def test_unknown_fields_are_ignored_whatever_they_hold() -> None:
    content = event(later=[{"\ud800": "\ud800"}], **{"\ud800": "\x00"}) | {"\xe9": 1e300}
    assert parse(json.dumps(content).encode()).source_id == "post-1"


def test_names_are_trimmed_composed_and_merged_with_their_case_kept() -> None:
    names = [" caf\u0065\u0301 ", "caf\u00e9", "Caf\u00e9", "\u3000x\t"]
    assert parsed(tags=names).tags == ("caf\u00e9", "Caf\u00e9", "x")


def test_a_name_is_measured_after_it_is_composed() -> None:
    assert parsed(tags=["e\u0301" * 100]).tags == ("\u00e9" * 100,)


def test_the_limits_themselves_are_inside() -> None:
    names = [str(n).rjust(100, "x") for n in range(100)]
    whole = parsed(source_id="i" * 255, title="t" * 500, categories=names, tags=names)
    assert (len(whole.source_id), len(whole.title)) == (255, 500)
    assert whole.categories == whole.tags == tuple(names)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"{} {}", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'"\x00"', "not JSON"),
        (b"\xff{}", "not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
        ("{}".encode("utf-16"), "not UTF-8"),
        ("{}".encode("utf-16-be"), "not JSON"),
        (b"NaN", "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1, "a": 1}', "same key twice"),
        (b'{"a": {"b": 1, "\\u0062": 2}}', "same key twice"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_not_strict_json_is_malformed(body: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        parse(body)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b'{"a": 1, "a": 1}', ["/a"]),
        (b'{"data": {"tags": [{}, {"b": 1, "\\u0062": 2, "b": 3}], "data": 1, "data": 2}}', None),
        (b'{"a": {"b": NaN, "b": 1}, "a": 2}', ["/a"]),
        (b'{"a/b": [Infinity, {"~": -Infinity}]}', ["/a~1b/0", "/a~1b/1/~0"]),
        (b'{"a": NaN, "b": 1e999}', ["/a"]),
        (b"NaN", [""]),
        (b'{"a": {"\\ud800": 1, "\\ud800": 1}}', ["/a"]),
        (b'{"__proto__": 1, "": 2, "": 3}', ["/"]),
    ],
)
def test_what_is_not_strict_json_is_pointed_at(body: bytes, pointers: list[str] | None) -> None:
    with pytest.raises(Malformed) as caught:
        parse(body)
    found = [error.pointer for error in caught.value.errors]
    assert found == (pointers or ["/data/data", "/data/tags/1/b"])


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1E+99999999999999999999", "9" * 5000])
def test_a_number_beyond_what_can_be_kept_is_pointed_at(number: str) -> None:
    for read in (parse, storable_json):
        with pytest.raises(Invalid) as caught:
            read(f'{{"a": [0, -0, -0.0, 1e-999, 1e308, {"9" * 1000}, {number}]}}'.encode())
        assert [error.pointer for error in caught.value.errors] == ["/a/6"]


def test_unknown_fields_are_refused_where_that_is_wanted() -> None:
    content = event(later=1, title=None) | {"a/b": 1, "__proto__": {}, "": 0, "\ud800": 1}
    with pytest.raises(Invalid) as caught:
        parse(json.dumps(content).encode(), refuse_unknown=True)
    found = [error.pointer for error in caught.value.errors]
    assert found == ["/a~1b", "/__proto__", "/", "", "/data/later"]


def test_a_field_that_only_other_events_have_is_unknown() -> None:
    content = event("post.deleted", title="T")
    with pytest.raises(Invalid) as caught:
        parse(json.dumps(content).encode(), refuse_unknown=True)
    assert [error.pointer for error in caught.value.errors] == ["/data/title"]


@pytest.mark.parametrize("event_type", ["post.created", "post.updated", "post.deleted"])
def test_nothing_of_a_plain_event_is_unknown(event_type: str) -> None:
    body = json.dumps(event(event_type)).encode()
    assert parse(body, refuse_unknown=True) == parse(body)


@pytest.mark.parametrize("content", [[], "text", 5, {"data": 5}, {"data": []}], ids=repr)
def test_json_that_is_no_event_is_invalid_where_unknown_fields_are_refused(content: Any) -> None:
    with pytest.raises(Invalid):
        parse(json.dumps(content).encode(), refuse_unknown=True)


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ("\ud800", ""),
        (event() | {"data": "\ud800"}, "/data"),
        (event(categories="\udc00"), "/data/categories"),
    ],
    ids=["document", "data", "categories"],
)
def test_half_a_surrogate_pair_is_pointed_at_where_no_text_belongs(
    content: Any, pointer: str
) -> None:
    with pytest.raises(Invalid) as refused:
        parse(json.dumps(content).encode())
    assert [error.pointer for error in refused.value.errors] == [pointer]


@pytest.mark.parametrize("content", [[], "text", 5, 1e300, None, True, {}, {"data": {}}], ids=repr)
def test_json_that_is_no_event_is_invalid(content: Any) -> None:
    assert list(errors_of(content)) in (["/type"], [""])


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"type": "post.moved"}, "/type"),
        ({"type": "\ud800"}, "/type"),
        ({"type": ["post.created"]}, "/type"),
        ({"timestamp": "2026-01-01T00:00:00"}, "/timestamp"),
        ({"timestamp": "2026-13-01T00:00:00Z"}, "/timestamp"),
        ({"timestamp": "2026-01-01"}, "/timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+23:59"}, "/timestamp"),
        ({"timestamp": "9999-12-31T23:59:59-23:59"}, "/timestamp"),
        ({"timestamp": "0000-01-01T00:00:00Z"}, "/timestamp"),
        ({"timestamp": "\x00"}, "/timestamp"),
        ({"timestamp": "\ud800"}, "/timestamp"),
        ({"timestamp": "\u0662026-01-01T00:00:00Z"}, "/timestamp"),
        ({"timestamp": 1e300}, "/timestamp"),
        ({"timestamp": None}, "/timestamp"),
        ({"data": None}, "/data"),
        ({"data": []}, "/data"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_fault_of_the_envelope_is_pointed_at(change: dict[str, Any], pointer: str) -> None:
    assert list(errors_of(event() | change)) == [pointer]


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"id": ""}, "/data/id"),
        ({"id": 5}, "/data/id"),
        ({"id": "x" * 256}, "/data/id"),
        ({"id": "a\x00b"}, "/data/id"),
        ({"id": "\udfff"}, "/data/id"),
        ({"title": None}, "/data/title"),
        ({"title": "x" * 501}, "/data/title"),
        ({"title": "\x00"}, "/data/title"),
        ({"body": 1.5}, "/data/body"),
        ({"body": "\ud800"}, "/data/body"),
        ({"tags": {}}, "/data/tags"),
        ({"tags": ["x"] * 101}, "/data/tags"),
        ({"tags": ["a", 5]}, "/data/tags/1"),
        ({"tags": ["a", "  "]}, "/data/tags/1"),
        ({"tags": ["a", "b\x00"]}, "/data/tags/1"),
        ({"tags": ["a", "\ud800"]}, "/data/tags/1"),
        ({"categories": ["x" * 101]}, "/data/categories/0"),
        ({"categories": ["x" + "\u0301\u0316" * 200_000]}, "/data/categories/0"),
        ({"categories": ["\u0344" * 60]}, "/data/categories/0"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_fault_of_the_data_is_pointed_at(data: dict[str, Any], pointer: str) -> None:
    content = event()
    content["data"] |= data
    assert list(errors_of(content)) == [pointer]


@pytest.mark.parametrize("name", ["id", "title", "body", "categories", "tags"])
def test_every_field_of_a_whole_post_is_required(name: str) -> None:
    content = event()
    del content["data"][name]
    assert errors_of(content) == {f"/data/{name}": "This field is required."}


def test_all_faults_of_the_values_are_told_at_once() -> None:
    errors = errors_of(event(source_id="\x00", body="\ud800", categories=["ok", ""], tags=[" "]))
    assert set(errors) == {"/data/id", "/data/body", "/data/categories/1", "/data/tags/0"}


def test_an_error_does_not_give_the_callers_text_back() -> None:
    assert "x" * 20 not in str(errors_of(event() | {"type": "x" * 1000}))
