"""Deliveries of Posts as they are stored: any number of them by one statement, which is one commit.

What is stored of each is its row of the ledger, its Post if that is new, and its message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from app.ledger import FIND_DELIVERIES, Acceptance, Known
from outbox import store
from outbox.arrays import of_texts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from uuid import UUID

    from app.ledger import Delivery
    from outbox.message import Draft
    from outbox.statements import Run

# Each table in an order of its own, the same in every process, and one after the other, which takes
# the Sort between them: else two statements could wait for each other. A Post is looked for first:
# ON CONFLICT alone would wait for whoever is writing one that is there, a task or a post-processor.
ACCEPT: Final = """
accepted AS (
    INSERT INTO app_delivery (webhook_id, endpoint, digest, key, message_id, state)
    SELECT new.webhook_id, new.endpoint, decode(new.digest, 'hex'), new.key, new.message_id,
           new.state
    FROM unnest(%(webhook_id)s::text[], %(endpoint)s::text[], %(digest)s::text[], %(key)s::text[],
                %(id)s::uuid[], %(state)s::text[])
        AS new (webhook_id, endpoint, digest, key, message_id, state)
    ORDER BY new.webhook_id COLLATE "C"
    ON CONFLICT (webhook_id) DO NOTHING
    RETURNING message_id
), posts AS (
    INSERT INTO app_post (source_id)
    SELECT DISTINCT new.source_id COLLATE "C"
    FROM unnest(%(id)s::uuid[], %(source_id)s::text[]) AS new (message_id, source_id)
    JOIN accepted ON accepted.message_id = new.message_id
    WHERE NOT EXISTS (SELECT FROM app_post WHERE app_post.source_id = new.source_id)
    ORDER BY new.source_id COLLATE "C"
    ON CONFLICT (source_id) DO NOTHING
)"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A delivery that is good, and the message that it becomes if it is new."""

    delivery: Delivery[Any]
    digest: str
    """In hexadecimal digits."""
    source_id: str
    """The Post that it tells of."""
    draft: Draft

    @property
    def acceptance(self) -> Acceptance:
        """What it is answered when it is stored."""
        return Acceptance(self.draft.id, self.draft.state)

    @property
    def size(self) -> int:
        """Bytes that it takes in a statement, about."""
        return len(self.draft.payload)


def store_new(arrivals: Sequence[Arrival], run: Run) -> set[UUID]:
    """Store those that are new, by one statement, and return their messages' ids.

    Of several with one webhook-id the first may be new.
    """
    first = {each.delivery.id: each for each in reversed(arrivals)}
    chosen = list(first.values())
    return store.add_accepted(
        ACCEPT,
        [each.draft for each in chosen],
        run,
        webhook_id=of_texts(list(first)),
        endpoint=of_texts([each.delivery.endpoint for each in chosen]),
        digest=of_texts([each.digest for each in chosen]),
        key=of_texts([each.delivery.key for each in chosen]),
        source_id=of_texts([each.source_id for each in chosen]),
    )


def find_known(webhook_ids: Collection[str], run: Run) -> dict[str, Known]:
    """Return what the ledger knows of them.

    Its snapshot must be newer than that of the statement that has not stored them.
    """
    rows: Iterable[tuple[object, ...]] = run(FIND_DELIVERIES, {"webhook_ids": list(webhook_ids)})
    return {known.webhook_id: known for known in map(Known._make, rows)}
