"""What a delivery says: raw body to a frozen `Event`. Pure functions, no Django.

Two ways to be wrong, as two exceptions: a body that is not JSON in the strict sense (answered 400),
and JSON that is not one of our events (answered 422, every known fault with a JSON pointer). Fields
we do not know are ignored, so that a sender may add some.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from app.problem import FieldError
from app.strict_json import Invalid, Malformed, fault_of, strict_json

__all__ = ["Event", "Invalid", "Malformed", "normal_name", "parse"]

TITLE_LENGTH = 500
NAME_LENGTH = 100
MAX_NAMES = 100

# One composed character comes from at most four: a longer text cannot shrink below the limit. It
# is refused before it is normalised, which takes quadratic time for a run of combining marks.
_RAW_NAME_LENGTH = 4 * NAME_LENGTH

_Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]
_Names = Annotated[list[str], msgspec.Meta(max_length=MAX_NAMES)]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a Post at its source. `timestamp` is the source's, in UTC.

    Names of categories and tags are in NFC, trimmed, without duplicates, in the sender's order. A
    deleted Post has neither texts nor names.
    """

    type: str
    timestamp: datetime
    source_id: str
    title: str = ""
    body: str = ""
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class _Gone(msgspec.Struct, frozen=True):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class _Whole(_Gone, frozen=True):
    title: Annotated[str, msgspec.Meta(max_length=TITLE_LENGTH)]
    body: str
    categories: _Names
    tags: _Names


class _Created(msgspec.Struct, frozen=True, tag_field="type", tag="post.created"):
    timestamp: _Timestamp
    data: _Whole


class _Updated(msgspec.Struct, frozen=True, tag_field="type", tag="post.updated"):
    timestamp: _Timestamp
    data: _Whole


class _Deleted(msgspec.Struct, frozen=True, tag_field="type", tag="post.deleted"):
    timestamp: _Timestamp
    data: _Gone


EVENT_TYPES = ("post.created", "post.updated", "post.deleted")


def parse(body: bytes) -> Event:
    """Return the event in `body`. Raises `Malformed` or `Invalid`, whatever the bytes are."""
    # One reading of the bytes and not two: the standard library's, since msgspec takes the last of
    # two equal keys without a word; from its result msgspec takes the types. No field of ours has a
    # name that is not ASCII, and msgspec cannot look at one with a lone surrogate.
    document = strict_json(body, keep=str.isascii)
    errors = _not_ascii(document)
    if errors:
        raise Invalid(errors)
    try:
        known = msgspec.convert(document, _Created | _Updated | _Deleted)
    except msgspec.ValidationError as error:
        raise Invalid([_field_error(str(error))]) from None
    texts = {"/data/id": known.data.id}
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    title = content = ""
    if isinstance(known.data, _Whole):
        title, content = known.data.title, known.data.body
        texts |= {"/data/title": title, "/data/body": content}
        categories = _names("/data/categories", known.data.categories, errors)
        tags = _names("/data/tags", known.data.tags, errors)
    errors += [FieldError(at, fault) for at, text in texts.items() if (fault := fault_of(text))]
    try:
        timestamp = known.timestamp.astimezone(UTC)
    except OverflowError:
        errors.append(FieldError("/timestamp", "It is outside the years 1 to 9999 in UTC."))
    if errors:
        raise Invalid(errors)
    event_type: str = document["type"]
    return Event(event_type, timestamp, known.data.id, title, content, categories, tags)


def _not_ascii(document: Any) -> list[FieldError]:
    """Refuse what msgspec would stumble over: it reads type and timestamp as UTF-8."""
    if not isinstance(document, dict):
        return []
    return [
        FieldError(f"/{name}", "It holds characters that are not ASCII.")
        for name in ("type", "timestamp")
        if isinstance(text := document.get(name), str) and not text.isascii()
    ]


_MISSING = re.compile(r"Object missing required field `(\w+)`")
_PATH = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


def _field_error(message: str) -> FieldError:
    """Translate msgspec's message: its path `$.data.tags[1]` is the pointer `/data/tags/1`."""
    path = _PATH.search(message)
    steps = _STEP.findall(path[1]) if path else []
    detail = message[: path.start()] if path else message
    pointer = "".join(f"/{name or index}" for name, index in steps)
    if missing := _MISSING.match(detail):
        return FieldError(f"{pointer}/{missing[1]}", "This field is required.")
    if pointer == "/type":  # msgspec would quote the value, whatever its length
        detail = f"Expected one of {', '.join(EVENT_TYPES)}"
    return FieldError(pointer, f"{detail}.")


def normal_name(raw: str) -> str:
    """Return a category's or tag's name as it is stored: in NFC, trimmed, its case kept.

    Raises `ValueError`, whose text says what is wrong.
    """
    name = raw.strip()
    if fault := fault_of(name):
        raise ValueError(fault)
    if len(name) <= _RAW_NAME_LENGTH:
        name = unicodedata.normalize("NFC", name)
    if not 1 <= len(name) <= NAME_LENGTH:
        raise ValueError(f"Expected 1 to {NAME_LENGTH} characters, apart from spaces around them.")
    return name


def _names(pointer: str, raw_names: list[str], errors: list[FieldError]) -> tuple[str, ...]:
    names: dict[str, None] = {}  # keeps the order, merges equal ones
    for index, raw in enumerate(raw_names):
        try:
            names[normal_name(raw)] = None
        except ValueError as error:
            errors.append(FieldError(f"{pointer}/{index}", str(error)))
    return tuple(names)
