"""Writes the page of the service's addresses: `python -m deploy.http_page`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

PAGE = Path(__file__).resolve().parents[1] / "docs" / "http.md"

_INTRODUCTION = """\
# Addresses

What the service answers to, as it says itself: `GET /openapi.json` is the same for programs, in
the form of OpenAPI 3.1. This page is written from it by `python -m deploy.http_page`, with the
settings at their defaults. How to sign a delivery is told for [senders](senders.md), how to search
for [readers](reading.md).

An answer of 400 and above is `application/problem+json` (RFC 9457), but for the 503 of `/readyz`.
GET includes HEAD.
"""
_EVERYWHERE = """\
## Every address

What is not HTTP as the service takes it is refused with a [Problem](#problem), whatever the
address.
"""


class Page:
    """The text made from one description."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def lines(self) -> Iterator[str]:
        """Give the whole page."""
        yield _INTRODUCTION
        for path, operations in self._document["paths"].items():
            for method, operation in operations.items():
                yield from self._operation(f"{method.upper()} {path}", operation)
        yield _EVERYWHERE
        yield from _table("answer", "what it says")
        for response in self._document["components"]["responses"].values():
            [content] = response["content"].values()
            status = content["schema"]["allOf"][1]["properties"]["status"]["const"]
            yield _row(str(status), response["description"])
        yield "\n## Fields\n"
        for name, schema in self._document["components"]["schemas"].items():
            yield from self._schema(name, schema)

    def _operation(self, address: str, operation: dict[str, Any]) -> Iterator[str]:
        yield f"## `{address}`\n"
        yield f"{operation['summary']} {operation['description']}\n"
        if schemes := [name for each in operation["security"] for name in each]:
            found = self._document["components"]["securitySchemes"]
            yield " ".join(found[name]["description"] for name in schemes) + "\n"
        if parameters := operation.get("parameters"):
            yield from _table("parameter", "in", "value", "meaning")
            for each in parameters:
                required = " Required." if each.get("required") else ""
                told = (f"`{each['name']}`", each["in"], self._kind(each["schema"]))
                yield _row(*told, f"{each['description']}{required}")
            yield ""
        if body := operation.get("requestBody"):
            [content] = body["content"].values()
            yield f"The body is {self._kind(content['schema'])}: {body['description']}\n"
        yield from self._answers(operation["responses"])

    def _answers(self, responses: dict[str, Any]) -> Iterator[str]:
        yield from _table("answer", "what it says", "body", "headers")
        for status, response in sorted(responses.items()):
            if "$ref" in response:  # told once, for every address
                continue
            [content] = response.get("content", {"": {"schema": {}}}).values()
            headers = ", ".join(f"`{name}`" for name in response.get("headers", {}))
            kind = self._kind(content["schema"]) if content["schema"] else ""
            yield _row(status, response["description"], kind, headers)
        yield ""

    def _schema(self, name: str, schema: dict[str, Any]) -> Iterator[str]:
        yield f"### {name}\n"
        if description := schema.get("description"):
            yield f"{description}\n"
        if "properties" not in schema:
            yield f"{self._kind(schema)}.\n"
            return
        required = schema.get("required", ())
        yield from _table("field", "value", "meaning")
        for field, value in schema["properties"].items():
            missing = "" if field in required else "May be missing."
            meaning = " ".join(filter(None, (value.get("description"), missing)))
            yield _row(f"`{field}`", self._kind(value), meaning)
        yield ""

    def _kind(self, schema: dict[str, Any]) -> str:
        """Say in a few words what values there are."""
        if place := schema.get("$ref"):
            name = place.rpartition("/")[2]
            return f"[{name}](#{name.lower()})"
        for key, word in (("allOf", ""), ("anyOf", " or "), ("oneOf", " or ")):
            if parts := schema.get(key):
                return (word or " ").join(filter(None, map(self._kind, parts)))
        if values := schema.get("enum"):
            return " or ".join(f"`{value}`" for value in values)
        if "type" not in schema:
            return ""
        if schema["type"] == "array":
            return f"list{_bounds(schema)}, of {self._kind(schema['items'])}"
        unit = " characters" if _bounds(schema) and schema["type"] == "string" else ""
        return f"{schema.get('format', schema['type'])}{_bounds(schema)}{unit}"


def markdown(document: dict[str, Any]) -> str:
    """Return the whole page."""
    return "\n".join(Page(document).lines())


def _bounds(schema: dict[str, Any]) -> str:
    for low, high in (("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum")):
        if low in schema and high in schema:
            return f", {schema[low]} to {schema[high]}"
        if high in schema:
            return f", up to {schema[high]}"
        if low in schema:
            return f", at least {schema[low]}"
    return ""


def _table(*names: str) -> Iterator[str]:
    yield _row(*names)
    yield _row(*("---" for _ in names))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")
    django.setup()
    from app.openapi.document import encoded  # it needs the apps

    PAGE.write_text(markdown(json.loads(encoded())))
    sys.stdout.write(f"{PAGE} written\n")
