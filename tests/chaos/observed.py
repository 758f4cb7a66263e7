"""Loaded by the workers of a run alone (`celery -I`): each run of the task leaves an effect.

The effect is what the task saw, read as a project's own task would read it, through models, and is
written in the task's transaction: it stands exactly if what the task did stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import connection
from django.db.models import F, Func, TextField

import outbox
from app.models import Post
from app.tasks import index_post

WORDS = Func(F("search_vector"), function="tsvector_to_array", output_field=ArrayField(TextField()))
NOTE = """
INSERT INTO chaos_effect (message_id, post, title, body, categories, tags, deleted_at, words)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""


def observed(body: Callable[..., object]) -> Callable[..., None]:
    """The body, and behind it a note of what it has seen."""

    def run(source_id: str, **change: Any) -> None:
        body(source_id=source_id, **change)
        post = Post.everything.annotate(words=WORDS).get(source_id=source_id)
        seen = (
            post.title,
            post.body,
            [category.name for category in post.categories.all()],
            [tag.name for tag in post.tags.all()],
            post.deleted_at,
            post.words,
        )
        with connection.cursor() as cursor:
            cursor.execute(NOTE, [outbox.current_message().id, source_id, *seen])

    return run


index_post.body = observed(index_post.body)
