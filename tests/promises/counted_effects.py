"""Messages for the service's own task, and a count of the effects that it has had."""

from __future__ import annotations

from tests.gate import EFFECT_KEY
from tests.sql import query

# A row for each run of the task, in its own transaction: run twice the real task leaves the same
# vector as run once. The message is the one whose row this transaction has locked. Then it waits
# while the test holds the gate.
EFFECTS = f"""
CREATE TABLE effect (source_id text NOT NULL, message_id uuid NOT NULL);
CREATE FUNCTION note_effect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO effect VALUES (NEW.source_id,
        (SELECT id FROM outbox_message WHERE xmax = pg_current_xact_id()::xid));
    PERFORM pg_advisory_xact_lock_shared({EFFECT_KEY});
    RETURN NULL;
END $$;
CREATE TRIGGER note_effect AFTER UPDATE OF search_vector ON app_post
    FOR EACH ROW EXECUTE FUNCTION note_effect();
"""
NO_EFFECTS = """
DROP TRIGGER note_effect ON app_post; DROP FUNCTION note_effect(); DROP TABLE effect;
"""

POSTS = """
INSERT INTO app_post (source_id, title, source_timestamp, source_event)
SELECT %(prefix)s || n, 'A title', now(), 'msg_' || n FROM generate_series(1, %(number)s) AS n
"""
READY = """
INSERT INTO outbox_message (id, event_type, task, queue, payload, state, ready_at)
SELECT gen_random_uuid(), 'post.updated', 'app.tasks.index_post', 'celery',
       jsonb_build_object('source_id', %(prefix)s || n), 'ready', now()
FROM generate_series(1, %(number)s) AS n
"""


def store_ready(prefix: str, number: int) -> None:
    """Posts, filled, and a ready message for each, as the post-processor leaves them."""
    query(POSTS, prefix=prefix, number=number)
    query(READY, prefix=prefix, number=number)
