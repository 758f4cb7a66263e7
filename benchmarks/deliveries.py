"""Signed deliveries of an exact size."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.service import Service

WEBHOOK = "/webhooks/posts/"
WORDS = "A pillar box is where you drop a letter and walk away. "


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is sent: the headers that prove it, and the body."""

    headers: dict[str, str]
    body: bytes


def signed_deliveries(service: Service, number: int, size: int) -> list[Delivery]:
    """Events of so many Posts that nobody has seen yet, with bodies of `size` bytes."""
    return [_signed(service, size) for _ in range(number)]


def _signed(service: Service, size: int) -> Delivery:
    name = uuid.uuid4().hex
    body = _document(size).replace(b"#" * len(name), name.encode())
    return Delivery(service.signed(body, f"msg_{name}"), body)


@cache
def _document(size: int) -> bytes:
    """An event with a place for the Post's id, filled up with words."""
    data = {
        "id": "#" * len(uuid.uuid4().hex),
        "title": "What happened",
        "body": "",
        "categories": ["news", "letters"],
        "tags": [f"tag-{n}" for n in range(8)],
    }
    event = {"type": "post.created", "timestamp": "2026-01-01T00:00:00Z", "data": data}
    missing = size - len(json.dumps(event))
    data["body"] = (WORDS * (missing // len(WORDS) + 1))[:missing]
    return json.dumps(event).encode()
