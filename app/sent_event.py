"""An event as senders write it: the types that parse it, and that the description is made from."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, TypeAlias

import msgspec

ID_LENGTH: Final = 255
TITLE_LENGTH: Final = 500
NAME_LENGTH: Final = 100
MAX_NAMES: Final = 100

_Timestamp = Annotated[
    datetime,
    msgspec.Meta(
        tz=True,
        description="When it happened at the source, with a zone. It is the version of the Post.",
        examples=["2026-03-01T12:00:00+01:00"],
    ),
]
_Id = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=ID_LENGTH,
        description="The source's own id of the Post.",
        examples=["post-1"],
    ),
]
_Title = Annotated[str, msgspec.Meta(max_length=TITLE_LENGTH, examples=["A title"])]
_Body = Annotated[
    str,
    msgspec.Meta(
        description="Of any length that the delivery's limit leaves room for.",
        examples=["A body."],
    ),
]
# For the description alone: a name is trimmed and normalised before it is measured.
_Name = Annotated[
    str,
    msgspec.Meta(
        description="Stored in NFC and trimmed, its case kept; measured so, too.",
        extra_json_schema={"minLength": 1, "maxLength": NAME_LENGTH, "pattern": r"\S"},
    ),
]
_Names = Annotated[
    list[_Name],
    msgspec.Meta(
        max_length=MAX_NAMES,
        description="All of them: those of an older version that are missing here are taken off.",
        examples=[["News"]],
    ),
]


class PostReference(msgspec.Struct, frozen=True):
    """Which Post it is about."""

    id: _Id


class PostContent(PostReference, frozen=True):
    """The whole Post. No text may hold the character NUL (U+0000)."""

    title: _Title
    body: _Body
    categories: _Names
    tags: _Names


class PostCreated(msgspec.Struct, frozen=True, tag_field="type", tag="post.created"):
    """A Post has come into being."""

    timestamp: _Timestamp
    data: PostContent


class PostUpdated(msgspec.Struct, frozen=True, tag_field="type", tag="post.updated"):
    """A Post has a new version; it need not be known yet."""

    timestamp: _Timestamp
    data: PostContent


class PostDeleted(msgspec.Struct, frozen=True, tag_field="type", tag="post.deleted"):
    """A Post is gone, and no older event brings it back."""

    timestamp: _Timestamp
    data: PostReference


SentEvent: TypeAlias = PostCreated | PostUpdated | PostDeleted
