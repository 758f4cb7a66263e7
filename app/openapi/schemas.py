"""The schemas of the description, in the dialect of OpenAPI 3.1, which is JSON Schema 2020-12."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from django.conf import settings

from app.answers import Accepted, Alive, MessageStatus, PostPage, Ready
from app.document import PostDocument
from app.problem import MAX_ERRORS, FieldError, ParameterError
from app.sent_event import (
    PostContent,
    PostCreated,
    PostDeleted,
    PostReference,
    PostUpdated,
    SentEvent,
)

_PLACE: Final = "#/components/schemas/"
_SENT: Final = (PostCreated, PostUpdated, PostDeleted, PostContent, PostReference)
_TYPES: Final = (
    Accepted,
    MessageStatus,
    PostDocument,
    PostPage,
    Alive,
    Ready,
    FieldError,
    ParameterError,
)


def reference(name: str | type) -> dict[str, Any]:
    """Return the reference to a schema, by its name or by the type it is made from."""
    return {"$ref": _PLACE + (name if isinstance(name, str) else name.__name__)}


def schemas() -> dict[str, Any]:
    """Return the schemas by name."""
    [event, *_], named = msgspec.json.schema_components(
        [SentEvent, *_TYPES], ref_template=_PLACE + "{name}"
    )
    if settings.WEBHOOK_UNKNOWN_FIELDS == "refuse":
        for kind in _SENT:
            named[kind.__name__]["additionalProperties"] = False
    # Each event has one type, which no other has: of the alternatives exactly one is met.
    alternatives = {("oneOf" if key == "anyOf" else key): value for key, value in event.items()}
    return {
        "Event": {"description": "What happened to a Post at its source.", **alternatives},
        **{name: _plain(schema) for name, schema in named.items()},
        "Problem": _problem(),
    }


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Without what says the same as its name, and with the types that msgspec leaves out."""
    plain = {key: value for key, value in schema.items() if key != "title"}
    if "properties" in plain:
        plain["properties"] = {
            name: {"type": "string", **value} if "enum" in value else value
            for name, value in plain["properties"].items()
        }
    return {"type": "string", **plain} if "enum" in plain else plain


def _problem() -> dict[str, Any]:
    fault = {"anyOf": [reference(FieldError), reference(ParameterError)]}
    return {
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "properties": {
            "type": {
                "type": "string",
                "format": "uri",
                "description": "Which kind of problem; `about:blank` where the status says it all.",
            },
            "title": {"type": "string"},
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": {"type": "string", "minLength": 1, "description": "What to do about it."},
            "errors": {
                "type": "array",
                "description": "The faults of the document or the address, the first of them.",
                "items": fault,
                "minItems": 1,
                "maxItems": MAX_ERRORS,
            },
        },
        "required": ["type", "title", "status", "detail"],
    }
