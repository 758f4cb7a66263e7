"""The description says of the service what is so, and in the form that the format has."""

from __future__ import annotations

import json
import operator
import re
import tomllib
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from django.test import Client
from schemathesis.specs.openapi.definitions import OPENAPI_31

from app import door, health, search, sent_event, signature
from app.admission import Closed
from app.openapi import examples
from app.openapi.document import document
from app.openapi.view import FRESH_SECONDS
from app.payload import Invalid, parse
from app.problem import CONTENT_TYPE, MAX_ERRORS
from app.problem import document as problem
from app.problem_types import ProblemType
from app.urls import urlpatterns
from deploy import http_page
from tests.openapi_answers import Description, component

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def within(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document, the value itself among them."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from within(each)


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    whole = {"components": DOCUMENT["components"], **schema}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [error.message for error in validator.iter_errors(value)]


def test_it_is_a_document_of_openapi_3_1() -> None:
    jsonschema_rs.validator_for(OPENAPI_31).validate(DOCUMENT)


def test_the_meta_schema_finds_what_is_wrong() -> None:
    wrong = {**DOCUMENT, "paths": {"/livez": {"get": {"responses": {"ok": {}}}}}}
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validator_for(OPENAPI_31).validate(wrong)


def test_each_reference_leads_to_something() -> None:
    places = {place for each in within(DOCUMENT) if isinstance(place := each.get("$ref"), str)}
    assert len(places) > 20
    for place in places:
        component(DOCUMENT, place)
    parts = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses", "headers")
        for name in DOCUMENT["components"][kind]
    }
    assert parts - places == set(), "components that nothing refers to"


def test_each_address_is_described_and_no_other() -> None:
    routed = {"/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(each.pattern)) for each in urlpatterns}
    assert set(DOCUMENT["paths"]) == routed


def test_each_operation_has_a_name_of_its_own_and_its_parameters() -> None:
    names = [operation["operationId"] for _, operation in operations()]
    assert len(set(names)) == len(names) == len(DOCUMENT["paths"])
    for address, operation in operations():
        in_path = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", address))
        assert operation["summary"]
        assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}


def test_each_example_is_valid() -> None:
    found = 0
    for each in within(DOCUMENT):
        schema = each.get("schema")
        if not isinstance(schema, dict):
            continue
        shown = [example["value"] for example in each.get("examples", {}).values()]
        shown += [each["example"]] if "example" in each else []
        found += len(shown)
        assert [faults(schema, example) for example in shown] == [[] for _ in shown]
    assert found > 40


def test_each_event_that_is_shown_is_parsed() -> None:
    body = DOCUMENT["paths"]["/webhooks/posts/"]["post"]["requestBody"]
    examples = body["content"]["application/json"]["examples"].values()
    types = [parse(json.dumps(example["value"]).encode()).type for example in examples]
    assert types == ["post.created", "post.updated", "post.deleted"]


@pytest.mark.parametrize(
    ("field", "longest", "longer"),
    [
        ("id", "x" * sent_event.ID_LENGTH, "x" * (sent_event.ID_LENGTH + 1)),
        ("title", "x" * sent_event.TITLE_LENGTH, "x" * (sent_event.TITLE_LENGTH + 1)),
        ("categories", ["x" * sent_event.NAME_LENGTH], ["x" * (sent_event.NAME_LENGTH + 1)]),
        ("categories", ["x"], [" "]),
        ("tags", ["x"] * sent_event.MAX_NAMES, ["x"] * (sent_event.MAX_NAMES + 1)),
    ],
)
def test_the_limits_of_an_event_are_those_of_the_parser(
    field: str, longest: Any, longer: Any
) -> None:
    content = {"id": "1", "title": "", "body": "", "categories": [], "tags": []}
    event = {"type": "post.created", "timestamp": "2026-01-01T00:00:00Z"}
    good, bad = ({**event, "data": {**content, field: value}} for value in (longest, longer))
    assert faults(SCHEMAS["Event"], good) == []
    parse(json.dumps(good).encode())
    assert faults(SCHEMAS["Event"], bad)
    with pytest.raises(Invalid):
        parse(json.dumps(bad).encode())


def test_the_limits_of_parameters_are_those_of_the_code(settings: Any) -> None:
    settings.WEBHOOK_MAX_BODY_BYTES, settings.WEBHOOK_TOLERANCE_SECONDS = 12_321, 77
    paths = document()["paths"]
    deliver = paths["/webhooks/posts/"]["post"]
    of = {p["name"]: p for o in (deliver, paths["/posts/"]["get"]) for p in o["parameters"]}
    assert of["webhook-id"]["schema"]["maxLength"] == signature.MAX_ID
    assert of["webhook-signature"]["schema"]["maxLength"] == signature.MAX_SIGNATURE_HEADER
    assert " 77 seconds" in of["webhook-timestamp"]["description"]
    assert " 12321 bytes" in deliver["requestBody"]["description"]
    assert of["limit"]["schema"]["maximum"] == search.MAX_LIMIT
    assert of["q"]["schema"]["maxLength"] == search.QUERY_LENGTH
    assert SCHEMAS["Problem"]["properties"]["errors"]["maxItems"] == MAX_ERRORS


def test_a_signature_of_ours_is_one_by_the_description() -> None:
    parameters = DOCUMENT["paths"]["/webhooks/posts/"]["post"]["parameters"]
    schema = next(p["schema"] for p in parameters if p["name"] == "webhook-signature")
    signed = signature.sign("whsec_" + "a" * 32, "msg_1", 1, b"{}")
    assert faults(schema, signed) == faults(schema, f"v0,x {signed} v1,y") == []
    assert faults(schema, signed[:-2])


def test_each_kind_of_problem_is_described_where_it_occurs() -> None:
    told = {
        title
        for each in within(DOCUMENT)
        if isinstance(properties := each.get("properties"), dict)
        for title in properties.get("title", {}).get("enum", [])
    }
    # The admin's alone, and the fault that the description does not promise.
    others = {ProblemType.FORBIDDEN, ProblemType.SERVER_FAULT}
    assert told == {kind.title for kind in ProblemType if kind not in others}


def test_the_version_is_not_that_of_the_software() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["version"] not in json.dumps(DOCUMENT)


def test_where_each_word_is_told_so_is_its_type() -> None:
    told = [each for each in within(DOCUMENT) if isinstance(each.get("enum"), list)]
    assert len(told) > 20
    assert [each for each in told if "type" not in each] == []


@pytest.mark.parametrize("place", [(), ("data",)], ids=["envelope", "data"])
@pytest.mark.parametrize("kind", ["created", "updated", "deleted"])
def test_a_field_that_is_not_known_is_taken_or_not_as_the_parser_is_told(
    kind: str, place: tuple[str, ...], settings: Any
) -> None:
    event = examples.events()[kind]["value"]
    [*_, part] = accumulate(place, operator.getitem, initial=event)
    part["colour"] = "red"
    assert faults(SCHEMAS["Event"], event) == []
    parse(json.dumps(event).encode())
    settings.WEBHOOK_UNKNOWN_FIELDS = "refuse"
    components = {"components": document()["components"]}
    event_schema = components["components"]["schemas"]["Event"]
    assert not jsonschema_rs.is_valid({**components, **event_schema}, event)
    with pytest.raises(Invalid):
        parse(json.dumps(event).encode(), refuse_unknown=True)
    del part["colour"]
    assert jsonschema_rs.is_valid({**components, **event_schema}, event)


def test_what_is_always_sent_is_required() -> None:
    for name in ("Alive", "Ready", "Checks"):
        assert SCHEMAS[name]["required"] == list(SCHEMAS[name]["properties"])


@pytest.mark.parametrize("closed", Closed)
def test_the_words_of_the_checks_are_those_of_readyz(
    closed: Closed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "closed", lambda: closed)
    monkeypatch.setattr(health.readiness, "checks", lambda: health.UNREACHABLE)
    answer = Client().get("/readyz")
    assert faults(SCHEMAS["Ready"], answer.json()) == []
    assert faults(SCHEMAS["Ready"], {"status": "ready", "checks": {"database": "gone"}})


def test_a_header_that_is_not_as_described_is_found() -> None:
    kind = ProblemType.OVERLOADED
    body = json.dumps(problem(kind, "Wait.")).encode()
    headers = {"content-type": CONTENT_TYPE, "retry-after": "30"}
    answer = ("POST", "/webhooks/posts/", kind.status)
    description = Description(DOCUMENT)
    assert description.faults(*answer, headers, body) == []
    [fault] = description.faults(*answer, headers | {"retry-after": "soon"}, body)
    assert fault.startswith("the header Retry-After: ")


def test_it_names_no_host() -> None:
    assert not re.search(r"https?://", json.dumps(DOCUMENT))


def test_it_is_served_with_a_name_for_its_version() -> None:
    answer = Client().get("/openapi.json")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == f"public, max-age={FRESH_SECONDS}"
    assert answer.json()["paths"].keys() == DOCUMENT["paths"].keys()
    again = Client().get("/openapi.json", headers={"if-none-match": answer["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", answer["ETag"])
    refused = Client().post("/openapi.json")
    assert (refused.status_code, refused["Allow"]) == (405, "GET, HEAD")


def test_the_page_is_written_from_the_document() -> None:
    written = http_page.PAGE.read_text()
    assert written == http_page.markdown(DOCUMENT), "Run: python -m deploy.http_page"
