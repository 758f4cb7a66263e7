"""The whole description."""

from __future__ import annotations

import functools
from typing import Any, Final

import msgspec

from app.openapi.paths import SIGNATURE, TOKEN, paths
from app.openapi.responses import OF_THE_SERVER, headers, name, problem
from app.openapi.schemas import schemas

VERSION: Final = "1"
"""That of the addresses, not of the software: it is raised when a client would have to change."""

_DESCRIPTION: Final = """\
Takes signed webhooks about Posts in, answers at once, and sees the work through. Errors are \
`application/problem+json` (RFC 9457); addresses end with a slash where they are shown with one.\
"""
_TAGS: Final = {
    "webhooks": "What senders call.",
    "messages": "What has become of a delivery.",
    "posts": "What came in, for readers.",
    "health": "For whatever decides where requests go.",
    "description": "This document.",
}


def document() -> dict[str, Any]:
    """Return the description, made anew."""
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Pillarbox",
            "version": VERSION,
            "description": _DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        # No name of a host: relative to where this document was read from.
        "servers": [{"url": "/"}],
        "tags": [{"name": tag, "description": meaning} for tag, meaning in _TAGS.items()],
        "paths": paths(),
        "components": {
            "schemas": schemas(),
            "responses": {name(kind): problem([kind]) for kind in OF_THE_SERVER},
            "headers": headers(),
            "securitySchemes": _security_schemes(),
        },
    }


@functools.cache
def encoded() -> bytes:
    """Return the description as it is sent, made once for each process."""
    return msgspec.json.encode(document())


def _security_schemes() -> dict[str, Any]:
    return {
        SIGNATURE: {
            "type": "apiKey",
            "in": "header",
            "name": "webhook-signature",
            "description": (
                "The signature of Standard Webhooks, by one of the secrets that sender and service"
                " share. With it come `webhook-id` and `webhook-timestamp`."
            ),
        },
        TOKEN: {
            "type": "http",
            "scheme": "bearer",
            "description": "One of the service's read tokens (RFC 6750).",
        },
    }
