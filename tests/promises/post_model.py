"""What becomes of deliveries of Posts, in whatever order they come: a model of a few lines."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta, timezone
from hashlib import sha256
from typing import Any

from tests.factories import EPOCH, event

State = tuple[Any, ...]
"""As `tests.app.filling.state` gives it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery. `at` is its event's time in seconds, told by a clock of the zone UTC + `zone`."""

    webhook_id: str
    source_id: str
    kind: str
    at: int
    zone: int = 0
    title: str = ""
    text: str = ""
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def deleted(self) -> bool:
        return self.kind == "post.deleted"

    @property
    def event(self) -> dict[str, Any]:
        """What it says, as its sender words it."""
        content: dict[str, Any] = {}
        if not self.deleted:
            names = {"categories": list(self.categories), "tags": list(self.tags)}
            content = {"title": self.title, "body": self.text, **names}
        zone = timezone(timedelta(hours=self.zone))
        at = EPOCH.replace(second=self.at).astimezone(zone)
        return event(self.kind, self.source_id, at=at, **content)

    @property
    def body(self) -> bytes:
        return json.dumps(self.event).encode()

    @property
    def digest(self) -> bytes:
        return sha256(self.body).digest()


def newest(deliveries: Iterable[Sent]) -> Sent:
    """The delivery of one Post whose version lasts."""
    return max(deliveries, key=lambda sent: (sent.at, sent.deleted, sent.webhook_id.encode()))


def model(deliveries: Iterable[Sent]) -> State:
    """What a Post is after these deliveries, in whatever order they came."""
    last, at = newest(deliveries), EPOCH.replace(second=newest(deliveries).at)
    if last.deleted:
        return ("", "", set(), set(), at, last.webhook_id, at)
    names = set(map(as_stored, last.categories)), set(map(as_stored, last.tags))
    return (last.title, last.text, *names, at, last.webhook_id, None)


def as_stored(name: str) -> str:
    return unicodedata.normalize("NFC", name.strip())


def words_of(deliveries: Iterable[Sent]) -> set[str]:
    """What the Post is found by: nothing once it is deleted."""
    title, text, categories, tags, *_ = model(deliveries)
    return {part for each in (title, text, *categories, *tags) for part in each.lower().split()}
