"""JSON of a delivery, read strictly, and the two ways in which a body can be wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from app.problem import FieldError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Malformed(ValueError):
    """The body is not JSON. The message says why, for the caller."""


class Invalid(ValueError):
    """The body is JSON, but not a valid event; `errors` says where and why."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{e.pointer}: {e.detail}" for e in errors))
        self.errors = errors


def storable_json(body: bytes) -> Any:
    """Decode JSON all of whose texts PostgreSQL can store. Raises `Malformed` or `Invalid`."""
    document = strict_json(body)
    errors = [FieldError(at, fault) for at, text in _texts(document) if (fault := fault_of(text))]
    if errors:
        raise Invalid(errors)
    return document


def _texts(document: Any) -> Iterator[tuple[str, str]]:
    """Every text of a document, keys included, each with its JSON pointer."""
    left = [("", document)]  # no recursion: it may be nested as deeply as the decoder allows
    while left:
        at, value = left.pop()
        if isinstance(value, str):
            yield at, value
        elif isinstance(value, list):
            left += [(f"{at}/{index}", each) for index, each in enumerate(value)]
        elif isinstance(value, dict):
            for key, each in value.items():
                yield at, key
                left.append((f"{at}/{key.replace('~', '~0').replace('/', '~1')}", each))


def fault_of(text: str) -> str | None:
    """What keeps `text` out of PostgreSQL, if anything does."""
    if "\x00" in text:
        return "It holds the character NUL, which cannot be stored."
    try:
        text.encode()
    except UnicodeEncodeError:
        return "It holds half a surrogate pair, which is no character."
    return None


def strict_json(body: bytes, *, keep: Callable[[str], bool] = lambda _key: True) -> Any:
    """Decode JSON as RFC 8259 has it, and no key twice in an object. Raises `Malformed`.

    Of an object the keys are kept that `keep` says.
    """

    def whole(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise Malformed("An object in the body has the same key twice.")
        return {key: value for key, value in pairs if keep(key)}

    try:
        # Decoded here: from bytes, json would also take UTF-16 and UTF-32.
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=whole, parse_constant=_no_constant
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


def _no_constant(name: str) -> NoReturn:
    raise Malformed(f"The body holds {name}, which is not JSON.")
