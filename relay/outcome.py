"""What became of a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of each message of a batch.

    A message in neither `confirmed` nor `refused` was not sent, or nobody knows: it is to be
    sent again, which may make a copy of it, and `outage` says why.
    """

    confirmed: set[UUID] = field(default_factory=set)
    """Acked by the broker and not returned; without confirms, handed over without an error."""
    refused: dict[UUID, str] = field(default_factory=dict)
    """What the broker would not take, with its reason: a failed try of that message."""
    outage: str | None = None
    """Why the rest could not be sent: nobody's fault."""
    written: set[UUID] = field(default_factory=set)
    """Given to a connection at least once: the broker may have it, whatever else is known."""

    def settled(self, message_id: UUID) -> bool:
        return message_id in self.confirmed or message_id in self.refused
