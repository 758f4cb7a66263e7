"""What the service answers with where nothing is wrong: the types that the description shows."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from django.http import HttpResponse

from app.admission import Closed
from app.document import PostDocument
from outbox.states import DONE, State


def _words(*words: str) -> msgspec.Meta:
    """Describe a text as one of these: msgspec knows no union of an enumeration and one more."""
    return msgspec.Meta(extra_json_schema={"enum": list(words)})


_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_MessageId = Annotated[UUID, msgspec.Meta(examples=["6f1dc0de-0000-4000-8000-000000000000"])]
_StatusUrl = Annotated[
    str,
    msgspec.Meta(
        description="Where to ask what has become of it, relative to this address.",
        examples=["/messages/6f1dc0de-0000-4000-8000-000000000000/"],
        extra_json_schema={"format": "uri-reference"},
    ),
]
_Stage = Annotated[str, _words(*State, DONE)]
_EventType = Annotated[str, msgspec.Meta(examples=["post.created"])]
_Tries = Annotated[int, msgspec.Meta(ge=0, description="Tries of the present step, none good yet.")]
_NextPage = Annotated[
    str | None,
    msgspec.Meta(
        description="The address of the next page, relative to this one; null on the last.",
        examples=["/posts/?tag=celery&after=AAYYbvqQQAAAAAAAAAAAKg"],
        extra_json_schema={"format": "uri-reference"},
    ),
]


class Accepted(msgspec.Struct, frozen=True):
    """The delivery is committed and will be worked. A duplicate gets the same answer."""

    message_id: _MessageId
    state: State
    status_url: _StatusUrl


class MessageStatus(msgspec.Struct, frozen=True):
    """Where a message is, and when it got there; null for what has not happened yet."""

    message_id: _MessageId
    event_type: _EventType
    state: _Stage
    attempts: _Tries
    received_at: _Moment
    ready_at: _Moment | None
    dispatched_at: _Moment | None
    done_at: _Moment | None


class PostPage(msgspec.Struct, frozen=True):
    """One page of Posts, the newest version first."""

    posts: list[PostDocument]
    next: _NextPage


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"]


class Checks(msgspec.Struct, frozen=True):
    """What deliveries need: "ok", or the word for what is wrong."""

    database: Annotated[str, _words("ok", "unreachable")]
    migrations: Annotated[str, _words("ok", "unapplied", "unknown")]
    admission: Annotated[str, _words("ok", *Closed)]


class Ready(msgspec.Struct, frozen=True):
    """Whether deliveries are accepted here."""

    status: Literal["ready", "unavailable"]
    checks: Checks


def as_json(
    content: msgspec.Struct, status: int = 200, headers: dict[str, Any] | None = None
) -> HttpResponse:
    """Return the answer that bears `content`."""
    # What Django's `JsonResponse` makes, without an encoder of its own for each.
    # And in bytes: of a text it would look for the charset, to encode it.
    body = json.dumps(msgspec.to_builtins(content)).encode()
    return HttpResponse(body, "application/json", status, headers=headers)
