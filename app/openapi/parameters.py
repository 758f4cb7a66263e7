"""What a request to an address bears: the parameters of the description."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings

from app.cursor import WORD_LENGTH
from app.search import DEFAULT_LIMIT, MAX_LIMIT, QUERY_LENGTH
from app.sent_event import ID_LENGTH, NAME_LENGTH
from app.signature import ID, MAX_ID, MAX_SIGNATURE_HEADER, TIMESTAMP

Parameter = dict[str, Any]

SIGNATURES: Final = r"(^| )v1,[A-Za-z0-9+/]{43}=( |$)"


def signed() -> list[Parameter]:
    """Return the headers that make a body a delivery."""
    return [
        _header(
            "webhook-id",
            f"Names the delivery, the same for every try. {MAX_ID} visible ASCII characters at"
            " most, no braces.",
            {"type": "string", "pattern": f"^{ID.pattern}$", "minLength": 1, "maxLength": MAX_ID},
            "msg_2b8f0a1c",
        ),
        _header(
            "webhook-timestamp",
            "When this try was signed, in seconds since 1970: at most"
            f" {settings.WEBHOOK_TOLERANCE_SECONDS} seconds from the service's clock.",
            {"type": "string", "pattern": f"^{TIMESTAMP.pattern}$"},
            "1772359200",
        ),
        _header(
            "webhook-signature",
            "`v1,` and the base64 of the HMAC-SHA256 of `id.timestamp.body`; several, separated by"
            " spaces, while a secret is replaced.",
            {"type": "string", "pattern": SIGNATURES, "maxLength": MAX_SIGNATURE_HEADER},
            "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        ),
    ]


def searched() -> list[Parameter]:
    """Return what a list of Posts can be asked for. Each may be given once; blank is not given."""
    name = {"type": "string", "maxLength": NAME_LENGTH}
    return [
        _query(
            "q",
            'Words of title, body, categories and tags: all of them; `"..."` a phrase, `-` not,'
            " `or` one of them.",
            {"type": "string", "maxLength": QUERY_LENGTH},
            '"pillar box" -parcel',
        ),
        _query("category", "One whole name, as it was sent.", name, "News"),
        _query("tag", "One whole name, as it was sent.", name, "celery"),
        _query(
            "after",
            "Where the page before ended: taken from its `next`.",
            {"type": "string", "pattern": f"^[A-Za-z0-9_-]{{{WORD_LENGTH}}}$"},
            "AAYYbvqQQAAAAAAAAAAAKg",
        ),
        _query(
            "limit",
            "Posts of one page.",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
            DEFAULT_LIMIT,
        ),
    ]


def conditional() -> Parameter:
    """Return the header by which a caller names the version that it has."""
    return {
        "name": "If-None-Match",
        "in": "header",
        "description": "The `ETag` of the copy that the caller has.",
        "schema": {"type": "string"},
    }


def message_id() -> Parameter:
    """Return the part of the address that names a message."""
    return _path(
        "message_id",
        "The `message_id` of a 202. It is all that is needed to ask: keep it to yourself.",
        {"type": "string", "format": "uuid"},
        "6f1dc0de-0000-4000-8000-000000000000",
    )


def source_id() -> Parameter:
    """Return the part of the address that names a Post."""
    return _path(
        "source_id",
        "The source's own id of the Post, percent-encoded, its slashes too.",
        {"type": "string", "minLength": 1, "maxLength": ID_LENGTH},
        "post-1",
    )


def _header(name: str, description: str, schema: dict[str, Any], example: str) -> Parameter:
    return _parameter("header", name, description, schema, example) | {"required": True}


def _query(name: str, description: str, schema: dict[str, Any], example: Any) -> Parameter:
    return _parameter("query", name, description, schema, example) | {"allowEmptyValue": True}


def _path(name: str, description: str, schema: dict[str, Any], example: str) -> Parameter:
    return _parameter("path", name, description, schema, example) | {"required": True}


def _parameter(
    place: str, name: str, description: str, schema: dict[str, Any], example: Any
) -> Parameter:
    return {
        "name": name,
        "in": place,
        "description": description,
        "schema": schema,
        "example": example,
    }
