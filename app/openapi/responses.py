"""The answers of the description: their schemas, their headers, and an example of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from app.openapi.schemas import reference
from app.problem import CONTENT_TYPE, FieldError, ParameterError, document
from app.problem_types import ProblemType

Responses = dict[str, Any]

OF_THE_SERVER: Final = (
    ProblemType.REQUEST_TIMEOUT,
    ProblemType.URI_TOO_LONG,
    ProblemType.EXPECTATION_FAILED,
    ProblemType.HEADERS_TOO_LARGE,
    ProblemType.NOT_IMPLEMENTED,
    ProblemType.HTTP_VERSION,
)
"""Answers to what is not HTTP as the web process takes it, whatever the address."""

_HEADERS: Final[dict[ProblemType, tuple[str, ...]]] = {
    ProblemType.UNAUTHORIZED: ("WWW-Authenticate",),
    ProblemType.METHOD_NOT_ALLOWED: ("Allow",),
    ProblemType.MEDIA_TYPE: ("Accept-Post",),
    ProblemType.CONTENT_CODING: ("Accept-Encoding",),
    ProblemType.DATABASE_AWAY: ("Retry-After",),
    ProblemType.OVERLOADED: ("Retry-After",),
}
_FAULTS: Final[dict[ProblemType, tuple[FieldError | ParameterError, ...]]] = {
    ProblemType.INVALID_EVENT: (FieldError("/data/title", "This field is required."),),
    ProblemType.INVALID_PARAMETERS: (ParameterError("limit", "Expected a whole number."),),
}


def headers() -> dict[str, Any]:
    """Return the headers that answers refer to by name."""
    seconds = {"type": "string", "pattern": r"^[0-9]+$"}
    return {
        "Location": _header(
            "The `status_url`.", {"type": "string", "format": "uri-reference"}, required=True
        ),
        "Retry-After": _header("Seconds to wait before the next try.", seconds, required=True),
        "Allow": _header("The methods of this address.", {"type": "string"}, required=True),
        "WWW-Authenticate": _header("How to prove who asks.", {"type": "string"}, required=True),
        "Data-Age": _header(
            "Seconds by which the answer may be behind the primary; missing where the server cannot"
            " tell.",
            {"type": "string", "pattern": r"^[0-9]+\.[0-9]{3}$"},
        ),
        "ETag": _header("Names this version of the answer.", {"type": "string"}, required=True),
        "Cache-Control": _header("Who may keep a copy.", {"type": "string"}, required=True),
        "Accept-Post": _header("On 415: the media type to send.", {"type": "string"}),
        "Accept-Encoding": _header("On 415: the content coding to send.", {"type": "string"}),
    }


def success(
    description: str,
    schema: dict[str, Any],
    example: dict[str, Any],
    *,
    headers: Iterable[str] = (),
) -> dict[str, Any]:
    """Return an answer in JSON that bears `schema`."""
    content = {"application/json": {"schema": schema, "example": example}}
    return {"description": description, **_headers(headers), "content": content}


def not_modified(*headers: str) -> dict[str, Any]:
    """Return the answer to a caller that has this version."""
    return {
        "description": "`If-None-Match` names what would be answered.",
        **_headers(["ETag", "Cache-Control", *headers]),
    }


def problems(
    *kinds: ProblemType, headers: Mapping[ProblemType, Iterable[str]] | None = None
) -> Responses:
    """Return the answers with problems of these kinds by status, and those of the server.

    `headers` names what some of them bear at this address besides.
    """
    told: dict[int, list[ProblemType]] = {}
    for kind in (ProblemType.BAD_REQUEST, *kinds):
        told.setdefault(kind.status, []).append(kind)
    more = headers or {}
    own = {
        str(status): problem(of, [header for kind in of for header in more.get(kind, ())])
        for status, of in told.items()
    }
    place = "#/components/responses/"
    return own | {str(kind.status): {"$ref": place + name(kind)} for kind in OF_THE_SERVER}


def problem(kinds: list[ProblemType], headers: Iterable[str] = ()) -> dict[str, Any]:
    """Return the answer of one status, which has one of these kinds."""
    narrowed = {
        "type": {"type": "string", "enum": list(dict.fromkeys(kind.uri for kind in kinds))},
        "title": {"type": "string", "enum": [kind.title for kind in kinds]},
        "status": {"type": "integer", "const": kinds[0].status},
    }
    schema = {"allOf": [reference("Problem"), {"properties": narrowed}]}
    examples = {name(kind): {"summary": kind.title, "value": _example(kind)} for kind in kinds}
    of_kinds = dict.fromkeys(header for kind in kinds for header in _HEADERS.get(kind, ()))
    return {
        "description": "; ".join(kind.title for kind in kinds),
        **_headers([*of_kinds, *headers]),
        "content": {CONTENT_TYPE: {"schema": schema, "examples": examples}},
    }


def name(kind: ProblemType) -> str:
    """Return the name of a kind as the names of components are written."""
    return kind.name.title().replace("_", "")


def _example(kind: ProblemType) -> dict[str, Any]:
    return document(kind, "What is wrong, and what to do about it.", _FAULTS.get(kind, ()))


def _header(description: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": schema}


def _headers(names: Iterable[str]) -> dict[str, Any]:
    found = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return {"headers": found} if found else {}
