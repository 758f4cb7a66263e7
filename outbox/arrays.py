"""Arrays for PostgreSQL as one literal each.

Of a list psycopg2 makes an expression with as many parts as the list has, each adapted by itself
here and parsed by itself there: for a batch that is thousands of parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID


def of_numbers(numbers: Iterable[int]) -> str:
    """The literal of an array of integers."""
    return f"{{{','.join(map(str, numbers))}}}"


def of_ids(ids: Iterable[UUID]) -> str:
    """The literal of an array of UUIDs."""
    return f"{{{','.join([each.hex for each in ids])}}}"


def of_flags(flags: Iterable[bool]) -> str:
    """The literal of an array of booleans."""
    return f"{{{','.join(['t' if each else 'f' for each in flags])}}}"


def of_texts(texts: Sequence[str]) -> str:
    """The literal of an array of texts. Raises ValueError for a NUL, which no text may hold."""
    if not texts:
        return "{}"
    # What no text may hold stands between them, so that all are escaped in one go.
    joined = "\0".join(texts)
    if joined.count("\0") >= len(texts):
        raise ValueError("a text holds a NUL character")
    escaped = joined.replace("\\", "\\\\").replace('"', '\\"')
    return '{"' + escaped.replace("\0", '","') + '"}'
