"""Step 2: fill the Posts of a batch of messages, in the transaction that marks them ready.

The number of statements does not depend on the size of the batch. Locks are taken in one order:
outbox rows (the caller's), Posts by id, categories by name, tags by name, relations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app import relations
from app.change import Change, Version, version
from app.database import run
from outbox.arrays import of_flags, of_numbers, of_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outbox import Message

# Whether a Post has relations is looked up for those alone that were never filled: others may have.
# Somebody at the admin may have given it some. EXISTS could be answered by reading all relations.
HOLD = """
    SELECT source_id, id, source_timestamp, deleted_at, source_event,
           source_timestamp IS NOT NULL
           OR (SELECT true FROM app_post_categories WHERE post_id = post.id LIMIT 1) IS NOT NULL
           OR (SELECT true FROM app_post_tags WHERE post_id = post.id LIMIT 1) IS NOT NULL
    FROM app_post AS post
    WHERE source_id = ANY(%(source_ids)s::text[])
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""

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

# The array says twice which Posts: of the first PostgreSQL would only know how many there are.
APPLY = """
    UPDATE app_post AS post
    SET title = change.title, body = change.body, source_timestamp = change.at,
        source_event = change.webhook_id,
        deleted_at = CASE WHEN change.deleted THEN change.at END
    FROM unnest(
        %(ids)s::bigint[], %(titles)s::text[], %(bodies)s::text[], %(times)s::timestamptz[],
        %(webhook_ids)s::text[], %(deleted)s::boolean[]
    ) AS change (id, title, body, at, webhook_id, deleted)
    WHERE post.id = change.id AND post.id = ANY(%(ids)s::bigint[])
"""


@dataclass(frozen=True, slots=True)
class _Held:
    """A Post that this transaction has locked, and the version applied to it, if any."""

    id: int
    applied: Version | None
    linked: bool
    """Whether it may have relations."""


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
    newer = {
        source_id: post
        for source_id, post in held.items()
        if post.applied is None or newest[source_id].version > post.applied
    }
    _apply(
        {post.id: newest[source_id] for source_id, post in newer.items()},
        linked=[post.id for post in newer.values() if post.linked],
    )
    return [m for m in messages if changes[m.id].event.source_id not in held]


def _hold(source_ids: Iterable[str]) -> dict[str, _Held]:
    """Lock the Posts that nobody else holds, and insert those that are not there."""
    wanted = sorted(source_ids)
    held = {
        source_id: _Held(
            pk,
            None if at is None else version(at, deleted=deleted_at is not None, webhook_id=event),
            linked,
        )
        for source_id, pk, at, deleted_at, event, linked in run(HOLD, source_ids=of_texts(wanted))
    }
    if missing := [source_id for source_id in wanted if source_id not in held]:
        inserted = run(INSERT_MISSING, source_ids=of_texts(missing))
        held |= {source_id: _Held(pk, None, linked=False) for source_id, pk in inserted}
    return held


def _apply(changes: dict[int, Change], linked: list[int]) -> None:
    """Write the changes, by the Post's primary key: relations and row, one version each."""
    if not changes:
        return
    events = {post: change.event for post, change in changes.items()}
    for relation, wanted in (
        (relations.CATEGORIES, {post: event.categories for post, event in events.items()}),
        (relations.TAGS, {post: event.tags for post, event in events.items()}),
    ):
        relations.replace(relation, wanted, linked)
    run(
        APPLY,
        ids=of_numbers(changes),
        titles=of_texts([event.title for event in events.values()]),
        bodies=of_texts([event.body for event in events.values()]),
        times=of_texts([event.timestamp.isoformat() for event in events.values()]),
        webhook_ids=of_texts([change.webhook_id for change in changes.values()]),
        deleted=of_flags([change.deleted for change in changes.values()]),
    )
