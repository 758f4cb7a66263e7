"""Step 4: the Celery task of the service."""

from __future__ import annotations

import outbox
from app.database import alias, run
from app.models import Post
from app.post_processor import fill_posts

SEARCHABLE_CHARACTERS = 100_000
"""Characters of a body that can be found. PostgreSQL refuses a vector of more than 1 MB; a hundred
thousand characters made of nothing but rare letters and hyphens take half of that."""

# Names are joined by a newline, so that the last word of one and the first of the next stay apart.
INDEX = """
    UPDATE app_post AS post
    SET search_vector = setweight(to_tsvector('simple', post.title), 'A')
        || setweight(to_tsvector('simple', coalesce((
            SELECT string_agg(names.name, E'\\n') FROM (
                SELECT category.name FROM app_category AS category
                JOIN app_post_categories AS link ON link.category_id = category.id
                WHERE link.post_id = post.id
                UNION ALL
                SELECT tag.name FROM app_tag AS tag
                JOIN app_post_tags AS link ON link.tag_id = tag.id
                WHERE link.post_id = post.id
                ORDER BY name
            ) AS names
        ), '')), 'B')
        || setweight(to_tsvector('simple', left(post.body, %(characters)s)), 'C')
    WHERE post.id = %(id)s
"""


@outbox.task("post.created", "post.updated", "post.deleted")
def index_post(source_id: str, **_change: object) -> None:
    """Build the full-text search vector of a Post; clear it if the Post is deleted.

    It indexes what is in the tables, which is the version that brought it here or a newer one.
    Repeating it changes nothing. A Post that has gone altogether needs no index.
    """
    # The lock comes before any other read. Without it the text could be read before, and the
    # relations after, the commit of a newer version; and of two tasks of one Post the one with
    # the older view could write last. Either leaves a vector of mixed versions for good.
    post = (
        Post.everything.using(alias())
        .select_for_update(no_key=True)
        .only("deleted_at")
        .filter(source_id=source_id)
        .first()
    )
    if post is None:
        return
    if post.deleted_at is not None:
        Post.everything.using(alias()).filter(pk=post.pk).update(search_vector=None)
        return
    run(INDEX, id=post.pk, characters=SEARCHABLE_CHARACTERS)


index_post.prepare(fill_posts)
