"""Posts that wait to be filled, the same for whoever fills them, and whether they were."""

from __future__ import annotations

import contextlib

from benchmarks.frame.arm import Void
from benchmarks.frame.stage import Stage

CATEGORIES, TAGS = 50, 2_000
BATCH = 200
WORK = "a Post of 300 bytes, 2 of 50 categories, 5 to 8 of 2,000 tags"

# Numbers are primary keys too, so that a script can say which rows belong together. A message's id
# is as good as random. The expressions are those of `benchmarks.limits.fill`.
_NAMES = """
INSERT INTO app_category (name) SELECT 'category ' || n FROM generate_series(1, {categories}) AS n;
INSERT INTO app_tag (name) SELECT 'tag ' || n FROM generate_series(1, {tags}) AS n;
INSERT INTO app_post (source_id) SELECT 'post-' || n FROM generate_series(1, {posts}) AS n
"""
_MESSAGES = """
INSERT INTO outbox_message (id, event_type, task, queue, payload, state, due_at)
SELECT md5(n::text)::uuid, 'post.created', 'app.tasks.index_post', 'celery', jsonb_build_object(
           'source_id', 'post-' || n, 'webhook_id', 'msg_' || n,
           'timestamp', '2026-01-01T00:00:00+00:00',
           'title', 'Title of post ' || n, 'body', repeat('Some words of text. ', 15),
           'categories', (SELECT jsonb_agg('category ' || 1 + (n + 25 * k) % 50)
                          FROM generate_series(1, 2) AS k),
           'tags', (SELECT jsonb_agg('tag ' || 1 + (n * 31 + k * 97) % 2000)
                    FROM generate_series(1, 5 + n % 4) AS k)),
       'pending', now() - interval '1 s' + n * interval '1 us'
FROM generate_series(1, {posts}) AS n
"""
_WHOLE = """
SELECT count(*) FROM outbox_message AS m JOIN app_post AS post
    ON post.source_id = m.payload ->> 'source_id'
WHERE m.state = 'ready' AND post.title = m.payload ->> 'title'
  AND post.body = m.payload ->> 'body' AND post.source_timestamp IS NOT NULL
  AND (SELECT array_agg(name::text ORDER BY name::text) FROM app_post_tags
       JOIN app_tag ON app_tag.id = tag_id WHERE post_id = post.id)
      = (SELECT array_agg(name ORDER BY name)
         FROM jsonb_array_elements_text(m.payload -> 'tags') AS name)
  AND (SELECT array_agg(name::text ORDER BY name::text) FROM app_post_categories
       JOIN app_category ON app_category.id = category_id WHERE post_id = post.id)
      = (SELECT array_agg(name ORDER BY name)
         FROM jsonb_array_elements_text(m.payload -> 'categories') AS name)
"""


def pending(stage: Stage, posts: int) -> None:
    """Empty the tables, and have so many Posts wait. Their numbers count from 1."""
    stage.empty()
    sizes = {"categories": CATEGORIES, "tags": TAGS, "posts": posts}
    with contextlib.closing(stage.connect()) as connection:
        cursor = connection.cursor()
        for statement in (_NAMES, _MESSAGES):
            cursor.execute(statement.format(**sizes))
    stage.settle()


def verify(stage: Stage, posts: int) -> None:
    """Raise Void unless so many have text, categories and tags of their message, which is ready."""
    [[whole]] = stage.execute(_WHOLE)
    if whole != posts:
        raise Void(f"{whole} Posts are whole and their messages ready, of {posts}")
