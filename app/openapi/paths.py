"""The public addresses, what each is asked with and what it answers."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings

from app.answers import Accepted, Alive, MessageStatus, PostPage, Ready
from app.document import PostDocument
from app.openapi import examples, parameters
from app.openapi.responses import not_modified, problems, success
from app.openapi.schemas import reference
from app.problem_types import OF_DELIVERIES, ProblemType

Operation = dict[str, Any]

SIGNATURE: Final = "webhookSignature"
TOKEN: Final = "readToken"  # noqa: S105 - the name of a scheme
_READING: Final = ("Data-Age", "Cache-Control", "ETag")
_OF_READING: Final = (
    ProblemType.UNAUTHORIZED,
    ProblemType.NOT_FOUND,
    ProblemType.METHOD_NOT_ALLOWED,
    ProblemType.DATABASE_AWAY,
)
_NO_TOKENS: Final = "While the service has no read tokens, there is no such address (404)."


def paths() -> dict[str, Any]:
    """Return the addresses, each with its operation."""
    return {
        "/webhooks/posts/": {"post": _deliver()},
        "/messages/{message_id}/": {"get": _message()},
        "/posts/": {"get": _posts()},
        "/posts/{source_id}/": {"get": _post()},
        "/livez": {"get": _alive()},
        "/readyz": {"get": _ready()},
        "/openapi.json": {"get": _description()},
    }


def _deliver() -> Operation:
    content = {"schema": reference("Event"), "examples": examples.events()}
    return {
        "operationId": "deliverPostEvent",
        "tags": ["webhooks"],
        "summary": "Deliver an event.",
        "description": (
            "Signed as Standard Webhooks has it. 202 means that the delivery is committed and will"
            " be worked. After a 503, or no answer, send the same id and body again, signed anew;"
            " a duplicate gets the first answer again. The checks are made in this order: 405, 413,"
            " 503 (too much work waits), 401, 415, 400, 422, 409."
        ),
        "security": [{SIGNATURE: []}],
        "parameters": parameters.signed(),
        "requestBody": {
            "required": True,
            "description": (
                "JSON in UTF-8, no key twice in an object, not compressed, of at most"
                f" {settings.WEBHOOK_MAX_BODY_BYTES} bytes. {_unknown_fields()}"
            ),
            "content": {"application/json": content},
        },
        "responses": {
            "202": success(
                "Committed, and will be worked.",
                reference(Accepted),
                examples.ACCEPTED,
                headers=["Location"],
            ),
            **problems(*OF_DELIVERIES),
        },
    }


def _unknown_fields() -> str:
    refused = settings.WEBHOOK_UNKNOWN_FIELDS == "refuse"
    return f"Fields that are not known are {'refused' if refused else 'ignored'}."


def _message() -> Operation:
    return {
        "operationId": "getMessage",
        "tags": ["messages"],
        "summary": "See what has become of a delivery.",
        "description": "A message that is done is dropped after some days.",
        "security": [{}],
        "parameters": [parameters.message_id()],
        "responses": {
            "200": success(
                "Where it is now.",
                reference(MessageStatus),
                examples.MESSAGE,
                headers=["Cache-Control"],
            ),
            **problems(
                ProblemType.NOT_FOUND, ProblemType.METHOD_NOT_ALLOWED, ProblemType.DATABASE_AWAY
            ),
        },
    }


def _posts() -> Operation:
    return {
        "operationId": "listPosts",
        "tags": ["posts"],
        "summary": "List and search the Posts.",
        "description": f"Read from the replica if there is one. {_NO_TOKENS}",
        "security": [{TOKEN: []}],
        "parameters": [*parameters.searched(), parameters.conditional()],
        "responses": {
            "200": success("One page.", reference(PostPage), examples.PAGE, headers=_READING),
            "304": not_modified("Data-Age"),
            **problems(*_OF_READING, ProblemType.INVALID_PARAMETERS),
        },
    }


def _post() -> Operation:
    return {
        "operationId": "getPost",
        "tags": ["posts"],
        "summary": "Read one Post.",
        "description": f"Read from the replica if there is one. {_NO_TOKENS}",
        "security": [{TOKEN: []}],
        "parameters": [parameters.source_id(), parameters.conditional()],
        "responses": {
            "200": success("The Post.", reference(PostDocument), examples.POST, headers=_READING),
            "304": not_modified("Data-Age"),
            **problems(*_OF_READING, headers={ProblemType.NOT_FOUND: ["Data-Age"]}),
        },
    }


def _alive() -> Operation:
    return {
        "operationId": "getLiveness",
        "tags": ["health"],
        "summary": "See that the process answers.",
        "description": "It touches nothing else.",
        "security": [{}],
        "responses": {
            "200": success("It does.", reference(Alive), {"status": "ok"}),
            **problems(ProblemType.METHOD_NOT_ALLOWED),
        },
    }


def _ready() -> Operation:
    return {
        "operationId": "getReadiness",
        "tags": ["health"],
        "summary": "See whether deliveries are accepted here.",
        "description": "The checks say which part is missing.",
        "security": [{}],
        "responses": {
            "200": success("They are.", reference(Ready), examples.READY),
            "503": success("They are not.", reference(Ready), examples.NOT_READY),
            **problems(ProblemType.METHOD_NOT_ALLOWED),
        },
    }


def _description() -> Operation:
    return {
        "operationId": "getDescription",
        "tags": ["description"],
        "summary": "Read this description.",
        "description": "It changes with the service's version and settings.",
        "security": [{}],
        "parameters": [parameters.conditional()],
        "responses": {
            "200": success(
                "This document.",
                {"type": "object", "required": ["openapi", "info", "paths"]},
                examples.DESCRIPTION,
                headers=["Cache-Control", "ETag"],
            ),
            "304": not_modified(),
            **problems(ProblemType.METHOD_NOT_ALLOWED),
        },
    }
