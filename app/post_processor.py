"""Step 2: fill the Posts of a batch of messages, in the transaction that marks them ready.

The number of statements does not depend on the size of the batch. Locks are taken in one order:
outbox rows (the caller's), Posts by id, categories by name, tags by name, relations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app import relations
from app.change import Change, Version, version
from app.database import alias, run
from app.models import Post

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outbox import Message

# An intake inserts the Post, so one is missing only where somebody has deleted its row since.
# One that somebody else holds is not missing: ON CONFLICT alone would wait for what they write.
INSERT_MISSING = """
    INSERT INTO app_post (source_id)
    SELECT missing.source_id FROM unnest(%(source_ids)s::text[]) AS missing (source_id)
    WHERE NOT EXISTS (SELECT FROM app_post AS post WHERE post.source_id = missing.source_id)
    ORDER BY missing.source_id
    ON CONFLICT (source_id) DO NOTHING
    RETURNING source_id, id
"""

APPLY = """
    UPDATE app_post AS post
    SET title = change.title, body = change.body, source_timestamp = change.at,
        source_event = change.webhook_id,
        deleted_at = CASE WHEN change.deleted THEN change.at END
    FROM unnest(
        %(ids)s::bigint[], %(titles)s::text[], %(bodies)s::text[], %(times)s::timestamptz[],
        %(webhook_ids)s::text[], %(deleted)s::boolean[]
    ) AS change (id, title, body, at, webhook_id, deleted)
    WHERE post.id = change.id
"""


@dataclass(frozen=True, slots=True)
class _Held:
    """A Post that this transaction has locked, and the version applied to it, if any."""

    id: int
    applied: Version | None


def fill_posts(messages: Sequence[Message]) -> list[Message]:
    """Apply to each Post the newest of its changes, whole. Return the messages to give back.

    Those are the messages of Posts that somebody else holds: waiting for one would stop the whole
    batch, and let its leases run out. Of several versions of one Post the newest is applied and
    all messages are done: what is not newer than the version on the Post has nothing to add.
    """
    changes = {message.id: Change.from_message(message) for message in messages}
    held = _hold({change.event.source_id for change in changes.values()})
    newest: dict[str, Change] = {}
    for change in sorted(changes.values(), key=lambda change: change.version):
        newest[change.event.source_id] = change
    _apply(
        {
            post.id: newest[source_id]
            for source_id, post in held.items()
            if post.applied is None or newest[source_id].version > post.applied
        }
    )
    return [m for m in messages if changes[m.id].event.source_id not in held]


def _hold(source_ids: Iterable[str]) -> dict[str, _Held]:
    """Lock the Posts that nobody else holds, and insert those that are not there."""
    wanted = sorted(source_ids)
    rows = (
        Post.everything.using(alias())
        .filter(source_id__in=wanted)
        .order_by("pk")
        .select_for_update(skip_locked=True, no_key=True)
        .values_list("source_id", "pk", "source_timestamp", "deleted_at", "source_event")
    )
    held = {
        source_id: _Held(
            pk,
            None if at is None else version(at, deleted=deleted_at is not None, webhook_id=event),
        )
        for source_id, pk, at, deleted_at, event in rows
    }
    if missing := [source_id for source_id in wanted if source_id not in held]:
        inserted = run(INSERT_MISSING, source_ids=missing)
        held |= {source_id: _Held(pk, None) for source_id, pk in inserted}
    return held


def _apply(changes: dict[int, Change]) -> None:
    """Write the changes, by the Post's primary key: relations and row, one version each."""
    if not changes:
        return
    events = {post: change.event for post, change in changes.items()}
    relations.replace(relations.CATEGORIES, {p: e.categories for p, e in events.items()})
    relations.replace(relations.TAGS, {p: e.tags for p, e in events.items()})
    run(
        APPLY,
        ids=list(changes),
        titles=[event.title for event in events.values()],
        bodies=[event.body for event in events.values()],
        times=[event.timestamp for event in events.values()],
        webhook_ids=[change.webhook_id for change in changes.values()],
        deleted=[change.deleted for change in changes.values()],
    )
