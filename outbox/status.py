"""Reads of one message: where it is, and its life as an operator reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outbox import read_statements
from outbox.conf import outbox_settings
from outbox.database import run
from outbox.models import HistoryMessage, OutboxMessage
from outbox.states import DONE

if TYPE_CHECKING:
    from uuid import UUID

_LOOKED_UP = (
    "message_id",
    "event_type",
    "state",
    "attempts",
    "received_at",
    "ready_at",
    "dispatched_at",
    "done_at",
)
_TIMES = ("received_at", "ready_at", "dispatched_at", "started_at", "done_at")


def lookup(message_id: UUID) -> dict[str, Any] | None:
    """Where a message is and when it got there; None if it is unknown or was dropped.

    The live table is read first: a row that moves between the two reads is found in the second.
    """
    for statement in (read_statements.LOOK_UP_LIVE, read_statements.LOOK_UP_DONE):
        rows = run(statement, id=message_id)
        if rows:
            return dict(zip(_LOOKED_UP, rows[0], strict=True))
    return None


def timeline(message_id: UUID) -> list[tuple[str, str]]:
    """Names and values of what is known of a message; empty if it is unknown or was dropped."""
    alias = outbox_settings().database
    row: Any = OutboxMessage.objects.using(alias).filter(pk=message_id).first()
    row = row or HistoryMessage.objects.using(alias).filter(pk=message_id).first()
    if row is None:
        return []
    live = isinstance(row, OutboxMessage)
    lines = [
        ("message", str(row.pk)),
        ("event type", row.event_type),
        ("task", f"{row.task} on queue {row.queue}"),
        ("state", row.state if live else DONE),
        ("attempts", f"{row.attempts} without a good end; sent {row.sends} times"),
    ]
    for name in _TIMES:
        moment = getattr(row, name, None)
        if moment is not None:
            seconds = (moment - row.received_at).total_seconds()
            lines.append((name.replace("_at", ""), f"{moment.isoformat()}  +{seconds:.3f} s"))
    if live:
        lines.append(("due" if row.lease_token is None else "leased until", row.due_at.isoformat()))
        lines.append(("payload", str(row.payload)))
        if row.last_error:
            lines.append(("last error", row.last_error.rstrip().replace("\n", "\n" + " " * 14)))
    return lines
