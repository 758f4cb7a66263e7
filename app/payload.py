"""What a delivery says: raw body to a frozen `Event`. Pure functions, no Django.

Two ways to be wrong, as two exceptions: a body that is not JSON in the strict sense (answered 400),
and JSON that is not one of our events (answered 422, every known fault with a JSON pointer). Fields
we do not know are ignored, so that a sender may add some.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import msgspec

from app.problem import FieldError

TITLE_LENGTH = 500
NAME_LENGTH = 100
MAX_NAMES = 100

# One composed character comes from at most four: a longer text cannot shrink below the limit. It
# is refused before it is normalised, which takes quadratic time for a run of combining marks.
_RAW_NAME_LENGTH = 4 * NAME_LENGTH

_Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]
_Names = Annotated[list[str], msgspec.Meta(max_length=MAX_NAMES)]


class Malformed(ValueError):
    """The body is not JSON. The message says why, for the caller."""


class Invalid(ValueError):
    """The body is JSON, but not one of our events; `errors` says where and why."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{e.pointer}: {e.detail}" for e in errors))
        self.errors = errors


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
    document = _document(body)
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
    errors += [FieldError(at, fault) for at, text in texts.items() if (fault := _fault(text))]
    try:
        timestamp = known.timestamp.astimezone(UTC)
    except OverflowError:
        errors.append(FieldError("/timestamp", "It is outside the years 1 to 9999 in UTC."))
    if errors:
        raise Invalid(errors)
    event_type: str = document["type"]
    return Event(event_type, timestamp, known.data.id, title, content, categories, tags)


def _document(body: bytes) -> Any:
    """Decode JSON as RFC 8259 has it, and no key twice in an object.

    The standard library reads it, since msgspec takes the last of two equal keys without a word;
    from its result msgspec takes the types, so that there is one reading of the bytes and not two.
    """
    try:
        # Decoded here: from bytes, json would also take UTF-16 and UTF-32.
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_constant
        )
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None
    except Malformed:
        raise
    except ValueError:  # an integer of thousands of digits
        raise Malformed("The body holds a number that is too long.") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    whole = dict(pairs)
    if len(whole) != len(pairs):
        raise Malformed("An object in the body has the same key twice.")
    # No field of ours has such a name, and msgspec cannot look at one with a lone surrogate.
    return {key: value for key, value in pairs if key.isascii()}


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"The body holds {name}, which is not JSON.")


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


def _fault(text: str) -> str | None:
    """What keeps `text` out of PostgreSQL, if anything does."""
    if "\x00" in text:
        return "It holds the character NUL, which cannot be stored."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "It holds half a surrogate pair, which is no character."
    return None


def _names(pointer: str, raw_names: list[str], errors: list[FieldError]) -> tuple[str, ...]:
    names: dict[str, None] = {}  # keeps the order, merges equal ones
    for index, raw in enumerate(raw_names):
        name = raw.strip()
        fault = _fault(name)
        if fault is None and len(name) <= _RAW_NAME_LENGTH:
            name = unicodedata.normalize("NFC", name)
        if fault is None and not 1 <= len(name) <= NAME_LENGTH:
            fault = f"Expected 1 to {NAME_LENGTH} characters, apart from spaces around them."
        if fault:
            errors.append(FieldError(f"{pointer}/{index}", fault))
        names[name] = None
    return tuple(names)
