"""What the sender holds against what arrived, field by field. Pure functions."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

Fields = Mapping[str, object]
"""One post: the names of its fields, and their values."""

CONTEXT = 30
"""Characters shown of a text, on both sides of the first that differs."""

GONE: Fields = {
    "deleted": True,
    "title": "",
    "body": "",
    "categories": [],
    "tags": [],
    "searchable": False,
}
"""What the receiver keeps of a deleted post."""


@dataclass(frozen=True, slots=True)
class Difference:
    """`field` is empty when the whole post is missing on one side."""

    post_id: str
    field: str
    sender: str
    arrived: str

    def lines(self) -> list[str]:
        title = f"  post {self.post_id}{self.field and ': '}{self.field}"
        return [title, f"      sender   {self.sender}", f"      arrived  {self.arrived}"]


def differences(sent: Mapping[str, Fields], arrived: Mapping[str, Fields]) -> list[Difference]:
    """Every field in which a post that arrived is not what was sent, and every post too few or
    too many."""
    found: list[Difference] = []
    for post_id in sorted(sent.keys() | arrived.keys()):
        if post_id not in arrived:
            found.append(Difference(post_id, "", "has it", "is not there"))
        elif post_id not in sent:
            found.append(Difference(post_id, "", "never had it", "is there"))
        else:
            found += _in_fields(post_id, sent[post_id], arrived[post_id])
    return found


def _in_fields(post_id: str, sent: Fields, arrived: Fields) -> Iterator[Difference]:
    for field, value in sent.items():
        other = arrived[field]
        if value != other:
            yield Difference(post_id, field, *_shown(value, other))


def expected_names(names: Iterable[str]) -> list[str]:
    """Names of categories or tags as they must arrive: in NFC, trimmed, each once."""
    return sorted({unicodedata.normalize("NFC", name.strip()) for name in names})


def _shown(value: object, other: object) -> tuple[str, str]:
    if not (isinstance(value, str) and isinstance(other, str)):
        return repr(value), repr(other)
    pairs = zip(value, other, strict=False)
    same = next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(value), len(other)))
    return _excerpt(value, same), _excerpt(other, same)


def _excerpt(text: str, at: int) -> str:
    start = max(at - CONTEXT, 0)
    where = f" from character {start:,}" if start else ""
    part = text[start : at + CONTEXT]
    return f"{part!r}{where}, {len(text):,} in all"
