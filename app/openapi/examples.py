"""What the description shows as examples."""

from __future__ import annotations

from typing import Any, Final

_ID: Final = "6f1dc0de-0000-4000-8000-000000000000"
_CONTENT: Final = {
    "title": "A title",
    "body": "A body.",
    "categories": ["News"],
    "tags": ["celery", "outbox"],
}

ACCEPTED: Final[dict[str, Any]] = {
    "message_id": _ID,
    "state": "pending",
    "status_url": f"/messages/{_ID}/",
}
MESSAGE: Final[dict[str, Any]] = {
    "message_id": _ID,
    "event_type": "post.created",
    "state": "done",
    "attempts": 0,
    "received_at": "2026-03-01T11:00:00.017Z",
    "ready_at": "2026-03-01T11:00:00.049Z",
    "dispatched_at": "2026-03-01T11:00:00.061Z",
    "done_at": "2026-03-01T11:00:00.08Z",
}
POST: Final[dict[str, Any]] = {
    "source_id": "post-1",
    **_CONTENT,
    "timestamp": "2026-03-01T11:00:00Z",
}
PAGE: Final[dict[str, Any]] = {"posts": [POST], "next": "/posts/?after=AAYYbvqQQAAAAAAAAAAAKg"}
READY: Final[dict[str, Any]] = {
    "status": "ready",
    "checks": {"database": "ok", "migrations": "ok", "admission": "ok"},
}
NOT_READY: Final[dict[str, Any]] = {
    "status": "unavailable",
    "checks": {"database": "ok", "migrations": "unapplied", "admission": "ok"},
}
DESCRIPTION: Final[dict[str, Any]] = {
    "openapi": "3.1.1",
    "info": {"title": "Pillarbox", "version": "1"},
    "paths": {},
}


def events() -> dict[str, Any]:
    """Return an event of each type."""
    whole = {"id": "post-1", **_CONTENT}
    return {
        "created": _event("A new Post.", "post.created", "2026-03-01T12:00:00+01:00", whole),
        "updated": _event("Its next version.", "post.updated", "2026-03-01T12:05:00+01:00", whole),
        "deleted": _event("It is gone.", "post.deleted", "2026-03-02T08:00:00Z", {"id": "post-1"}),
    }


def _event(summary: str, kind: str, timestamp: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"summary": summary, "value": {"type": kind, "timestamp": timestamp, "data": data}}
