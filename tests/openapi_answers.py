"""Answers of the service, compared with its description."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema_rs


def component(document: dict[str, Any], place: str) -> Any:
    """What a reference within the document leads to."""
    found: Any = document
    for step in place.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


class Description:
    """The description, which tells what is wrong with an answer.

    A member that it does not know is a fault too here, which it is not for clients.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self._validator = cache(self._make_validator)

    def responses(self, method: str, path: str) -> dict[str, Any]:
        """The answers of one address, by status."""
        responses: dict[str, Any] = self.document["paths"][path][method.lower()]["responses"]
        return responses

    def faults(
        self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> list[str]:
        """What keeps an answer from being one of the described; `headers` are in small letters."""
        responses = self.responses(method, path)
        if str(status) not in responses:
            return [f"the status {status} is not described"]
        response = self._resolved(responses[str(status)])
        wrong = list(self._faults_of(headers, response))
        if "content" not in response:
            return wrong + (["there is a body"] if body else [])
        [media_type] = response["content"]
        if headers.get("content-type") != media_type:
            return [*wrong, f"the media type is {headers.get('content-type')}"]
        try:
            value = json.loads(body)
        except ValueError as error:
            return [*wrong, f"the body is not JSON: {error}"]
        validator = self._validator(method, path, status)
        return wrong + [error.message for error in validator.iter_errors(value)]

    def _faults_of(self, headers: Mapping[str, str], response: dict[str, Any]) -> Iterator[str]:
        for name, part in response.get("headers", {}).items():
            header = self._resolved(part)
            value = headers.get(name.lower())
            if value is not None:
                schema = jsonschema_rs.Draft202012Validator(header["schema"], validate_formats=True)
                for error in schema.iter_errors(value):
                    yield f"the header {name}: {error.message}"
            elif header.get("required"):
                yield f"the header {name} is missing"

    def _make_validator(self, method: str, path: str, status: int) -> Any:
        response = self._resolved(self.responses(method, path)[str(status)])
        [content] = response["content"].values()
        whole = {"components": self.document["components"], **content["schema"]}
        if "openapi" not in content["schema"].get("required", ()):
            whole["unevaluatedProperties"] = False
        return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)

    def _resolved(self, part: dict[str, Any]) -> dict[str, Any]:
        place = part.get("$ref")
        return component(self.document, place) if isinstance(place, str) else part
