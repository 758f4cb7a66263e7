"""JSON of a delivery, read strictly, and the two ways in which a body can be wrong."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from app.json_pointer import pointer, walk
from app.problem import MAX_ERRORS, FieldError
from app.text import fault_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_DEPTH: Final = 100
"""So deep a document may be nested that is stored: to write it takes a stack, as to read it did."""


class Malformed(ValueError):
    """The body is not JSON. The message says why, for the caller; `errors` says where, if known."""

    def __init__(self, message: str, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = errors


class Invalid(ValueError):
    """The body is JSON, but not a valid event; `errors` says where and why."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{e.pointer}: {e.detail}" for e in errors))
        self.errors = errors


def storable_json(body: bytes) -> Any:
    """Decode an object or an array all of which PostgreSQL can store.

    Raises `Malformed` or `Invalid`.
    """
    document = strict_json(body)
    if not isinstance(document, dict | list):  # see `app.signature.ID`
        raise Invalid([FieldError("", "Expected an object or an array.")])
    # One more than is told, which says that there are more.
    if errors := list(islice(_unstorable(document), MAX_ERRORS + 1)):
        raise Invalid(errors)
    return document


def strict_json(body: bytes) -> Any:
    """Decode JSON as RFC 8259 has it, no key twice in an object, and no number too large to keep.

    Whole numbers are exact. Those with a fraction or an exponent are the nearest double, as RFC
    8259 (section 6) leads senders to expect: 1e-400 is 0.0. Raises `Malformed`, and `Invalid` for
    numbers that are too large.
    """
    if not body or body.startswith(BOM_UTF8):
        reason = "it begins with a byte order mark; leave that out" if body else "it is empty"
        raise Malformed(f"The body is not JSON: {reason}.")
    marker = _Marker()
    try:
        document = json.loads(
            body.decode("utf-8"),  # here: from bytes, json would also take UTF-16 and UTF-32
            object_pairs_hook=marker.whole,
            parse_constant=marker.constant,
            parse_float=marker.number,
            parse_int=marker.integer,
        )
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error}.") from None
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None
    if marker.used:
        _refuse(document)
    return document


class _Ambiguous(dict[str, Any]):
    """An object that has the same key twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__()
        self.twice: dict[str, None] = {}
        for key, value in pairs:
            if key in self:
                self.twice[key] = None
            self[key] = value


class _NotJson(str):
    """NaN and the like, which Python's reader knows."""

    __slots__ = ()


class _Beyond:
    """A number that would be read as another."""


class _Marker:
    """Marks what is wrong in a document as it is read: from the inside out, so not yet placed."""

    used = False

    def whole(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) == len(pairs):
            return found
        self.used = True
        return _Ambiguous(pairs)

    def constant(self, name: str) -> _NotJson:
        self.used = True
        return _NotJson(name)

    def number(self, text: str) -> float | _Beyond:
        number = float(text)
        return number if isfinite(number) else self._beyond()

    def integer(self, text: str) -> int | _Beyond:
        try:
            return int(text)
        except ValueError:  # Python reads no more than some thousand digits
            return self._beyond()

    def _beyond(self) -> _Beyond:
        self.used = True
        return _Beyond()


def _refuse(document: Any) -> None:
    """Raise what was marked, each with its place."""
    malformed = list(islice(_malformed(document), MAX_ERRORS + 1))
    if malformed:
        raise Malformed(malformed[0].detail, malformed)
    beyond = (
        FieldError(pointer(steps), "The number is too large to be kept.")
        for steps, value in walk(document)
        if isinstance(value, _Beyond)
    )
    raise Invalid(list(islice(beyond, MAX_ERRORS + 1)))


def _malformed(document: Any) -> Iterator[FieldError]:
    for steps, value in walk(document):
        if isinstance(value, _NotJson):
            yield FieldError(pointer(steps), f"{value} is not JSON.")
        if isinstance(value, _Ambiguous):
            for key in value.twice:
                yield FieldError(pointer([*steps, key]), "An object has the same key twice.")


def _unstorable(document: Any) -> Iterator[FieldError]:
    """The faults of a document's texts, keys included."""
    for steps, value in walk(document):
        if len(steps) > MAX_DEPTH:
            deep = FieldError(pointer(steps), f"It is nested more than {MAX_DEPTH} deep.")
            raise Malformed("The body is nested too deeply.", [deep])
        if steps and isinstance(key := steps[-1], str) and (fault := fault_of(key)):
            yield FieldError(pointer(steps[:-1]), fault)
        if isinstance(value, str) and (fault := fault_of(value)):
            yield FieldError(pointer(steps), fault)
