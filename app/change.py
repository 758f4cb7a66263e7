"""A change to a Post, as it waits in the payload of its message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from app.payload import Event

if TYPE_CHECKING:
    from outbox import Message

Version = tuple[datetime, bool, bytes]
"""What orders the events of one Post: the source's timestamp, deleted last, the webhook-id.

A total order, so that the result does not depend on the order of arrival, not even where the
timestamps are equal. Compared in Python alone, where it is one expression and no collation
interferes.
"""


def version(timestamp: datetime, *, deleted: bool, webhook_id: str) -> Version:
    return timestamp, deleted, webhook_id.encode()


@dataclass(frozen=True, slots=True)
class Change:
    """One whole version of a Post, and the delivery that brought it."""

    event: Event
    webhook_id: str

    @property
    def deleted(self) -> bool:
        return self.event.type == "post.deleted"

    @property
    def version(self) -> Version:
        return version(self.event.timestamp, deleted=self.deleted, webhook_id=self.webhook_id)

    def to_payload(self) -> dict[str, Any]:
        """The keyword arguments of the task: JSON, and everything `from_message` needs."""
        return {
            "source_id": self.event.source_id,
            "webhook_id": self.webhook_id,
            "timestamp": self.event.timestamp.isoformat(),
            "title": self.event.title,
            "body": self.event.body,
            "categories": list(self.event.categories),
            "tags": list(self.event.tags),
        }

    @classmethod
    def from_message(cls, message: Message) -> Change:
        payload = message.payload
        event = Event(
            message.event_type,
            datetime.fromisoformat(payload["timestamp"]),
            payload["source_id"],
            payload["title"],
            payload["body"],
            tuple(payload["categories"]),
            tuple(payload["tags"]),
        )
        return cls(event, payload["webhook_id"])
