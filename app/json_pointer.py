"""Where something stands in a JSON document: JSON pointers (RFC 6901)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from app.text import fault_of

MAX_POINTER_LENGTH: Final = 500

Step = str | int


def pointer(steps: Iterable[Step]) -> str:
    """Return the pointer along `steps`; "" is the whole document.

    It ends early, at a value around, where a step is no text or the pointer would become too long.
    """
    found = ""
    for step in steps:
        text = str(step)
        longer = f"{found}/{text.replace('~', '~0').replace('/', '~1')}"
        if len(longer) > MAX_POINTER_LENGTH or fault_of(text):
            break
        found = longer
    return found


def walk(document: Any) -> Iterator[tuple[list[Step], Any]]:
    """Give each value of a document, the whole first, with the steps that lead to it.

    What is held meanwhile grows with the depth alone, not with the number of values: it is one list
    of steps, which changes as the walk goes on.
    """
    steps: list[Step] = []
    yield steps, document
    open_values = [_members(document)]  # no recursion: it may be nested as deeply as it was read
    while open_values:
        for step, value in open_values[-1]:
            steps.append(step)
            yield steps, value
            if isinstance(value, list | dict):
                open_values.append(_members(value))
                break
            steps.pop()
        else:
            open_values.pop()
            del steps[-1:]


def _members(value: Any) -> Iterator[tuple[Step, Any]]:
    if isinstance(value, dict):
        return iter(value.items())
    return iter(enumerate(value) if isinstance(value, list) else ())
