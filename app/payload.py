"""What a delivery says: raw body to a frozen `Event`. Pure functions, no Django.

Two ways to be wrong, as two exceptions: a body that is not JSON in the strict sense (answered 400),
and JSON that is not one of our events (answered 422, every known fault with a JSON pointer). Fields
we do not know are ignored, so that a sender may add some, or refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import msgspec

from app.json_pointer import pointer
from app.problem import MAX_ERRORS, FieldError
from app.sent_event import NAME_LENGTH, PostContent, PostDeleted, PostReference, SentEvent
from app.strict_json import Invalid, Malformed, storable_json, strict_json
from app.text import fault_of

__all__ = ["Event", "Invalid", "Malformed", "normal_name", "parse"]

# One composed character comes from at most four: a longer text cannot shrink below the limit. It
# is refused before it is normalised, which takes quadratic time for a run of combining marks.
_RAW_NAME_LENGTH = 4 * NAME_LENGTH


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


EVENT_TYPES = ("post.created", "post.updated", "post.deleted")


_ENVELOPE = ("type", *PostDeleted.__struct_fields__)


def parse(body: bytes, *, refuse_unknown: bool = False) -> Event:
    """Return the event in `body`. Raises `Malformed` or `Invalid`, whatever the bytes are.

    Fields that an event of its type does not have are ignored, or refused.
    """
    # One reading of the bytes and not two: the standard library's, since msgspec takes the last of
    # two equal keys without a word; from its result msgspec takes the types.
    document = strict_json(body)
    errors = _not_ascii(document)
    if refuse_unknown:
        errors += islice(_unknown(document), MAX_ERRORS + 1)
    if errors:
        raise Invalid(errors)
    try:
        known = msgspec.convert(_known(document), SentEvent)
    except msgspec.ValidationError as error:
        raise Invalid([_field_error(str(error))]) from None
    except UnicodeEncodeError:
        storable_json(body)  # names half a surrogate pair in a text, where no text belongs
        raise
    texts = {"/data/id": known.data.id}
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    title = content = ""
    if isinstance(known.data, PostContent):
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


def _known(document: Any) -> Any:
    """Leave out all other fields: msgspec cannot look at a name with half a surrogate pair."""
    if not isinstance(document, dict):
        return document
    known = {name: document[name] for name in _ENVELOPE if name in document}
    if isinstance(data := document.get("data"), dict):
        fields = PostContent.__struct_fields__
        known["data"] = {name: data[name] for name in fields if name in data}
    return known


def _unknown(document: Any) -> Iterator[FieldError]:
    """The fields that an event of this type does not have."""
    if not isinstance(document, dict):
        return
    data = document.get("data")
    content = PostReference if document.get("type") == "post.deleted" else PostContent
    for steps, fields, object_ in (
        ([], _ENVELOPE, document),
        (["data"], content.__struct_fields__, data if isinstance(data, dict) else {}),
    ):
        for name in object_:
            if name not in fields:
                yield FieldError(pointer([*steps, name]), "This field is not known.")


_MISSING = re.compile(r"Object missing required field `(\w+)`")
_PATH = re.compile(r" - at `\$(.*)`$")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


def _field_error(message: str) -> FieldError:
    """Translate msgspec's message: its path `$.data.tags[1]` is the pointer `/data/tags/1`."""
    path = _PATH.search(message)
    steps = _STEP.findall(path[1]) if path else []
    detail = message[: path.start()] if path else message
    at = "".join(f"/{name or index}" for name, index in steps)
    if missing := _MISSING.match(detail):
        return FieldError(f"{at}/{missing[1]}", "This field is required.")
    if at == "/type":  # msgspec would quote the value, whatever its length
        detail = f"Expected one of {', '.join(EVENT_TYPES)}"
    return FieldError(at, f"{detail}.")


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


def _names(at: str, raw_names: list[str], errors: list[FieldError]) -> tuple[str, ...]:
    names: dict[str, None] = {}  # keeps the order, merges equal ones
    for index, raw in enumerate(raw_names):
        try:
            names[normal_name(raw)] = None
        except ValueError as error:
            errors.append(FieldError(f"{at}/{index}", str(error)))
    return tuple(names)
