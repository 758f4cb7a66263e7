"""JSON of a delivery, read strictly, and the two ways in which a body can be wrong."""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NoReturn

from app.problem import MAX_ERRORS, FieldError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_POINTER_LENGTH: Final = 500


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
    # One more than is told, which says that there are more.
    if errors := list(islice(_faults(document), MAX_ERRORS + 1)):
        raise Invalid(errors)
    return document


def _faults(document: Any) -> Iterator[FieldError]:
    """The faults of a document's texts, keys included.

    What is held meanwhile grows with the depth alone, not with the number of values: a pointer is
    made for a fault only.
    """
    steps: list[str | int] = []
    open_values = [_members([document])]  # no recursion: it may be nested as deeply as it was read
    while open_values:
        for step, value in open_values[-1]:
            if isinstance(step, str) and (fault := fault_of(step)):
                yield FieldError(_pointer(steps), fault)
            if isinstance(value, str):
                if fault := fault_of(value):
                    yield FieldError(_pointer([*steps, step]), fault)
            elif isinstance(value, list | dict):
                steps.append(step)
                open_values.append(_members(value))
                break
        else:
            open_values.pop()
            del steps[-1:]


def _members(value: list[Any] | dict[str, Any]) -> Iterator[tuple[str | int, Any]]:
    return iter(value.items()) if isinstance(value, dict) else enumerate(value)


def _pointer(steps: Sequence[str | int]) -> str:
    """The JSON pointer of a value, or of what holds it where a pointer would become too long.

    The first of the steps is that to the document.
    """
    pointer = ""
    for step in steps[1:]:
        longer = f"{pointer}/{str(step).replace('~', '~0').replace('/', '~1')}"
        if len(longer) > MAX_POINTER_LENGTH:
            break
        pointer = longer
    return pointer


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
