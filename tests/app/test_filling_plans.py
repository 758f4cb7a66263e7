"""How PostgreSQL runs the statements that fill Posts, in large tables: by their indexes alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from app import relations
from app.post_processor import APPLY, HOLD
from outbox.arrays import of_flags, of_numbers, of_texts
from tests.plan import nodes

pytestmark = pytest.mark.django_db

FIRST, NUMBER = 10_000, 1_000
POSTS = range(FIRST, FIRST + NUMBER)


@pytest.fixture(scope="module", autouse=True)
def large(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Half of the Posts are filled, the other half have just come in."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE app_post, app_tag, app_category RESTART IDENTITY CASCADE")
        cursor.execute("""
            INSERT INTO app_tag (name) SELECT 'tag ' || n FROM generate_series(1, 20000) AS n;
            INSERT INTO app_category (name) SELECT 'tag ' || n FROM generate_series(1, 20000) AS n;
            INSERT INTO app_post (source_id)
            SELECT 'post-' || n FROM generate_series(1, 30000) AS n;
            INSERT INTO app_post_tags (post_id, tag_id)
            SELECT n, k FROM generate_series(1, 15000) AS n, generate_series(1, 5) AS k;
            INSERT INTO app_post_categories (post_id, category_id)
            SELECT n, k FROM generate_series(1, 15000) AS n, generate_series(1, 2) AS k;
            ANALYZE app_post, app_tag, app_category, app_post_tags, app_post_categories
        """)
        yield
        cursor.execute("TRUNCATE app_post, app_tag, app_category CASCADE")


TEXTS = of_texts([f"tag {n}" for n in POSTS])
IDS = of_numbers(POSTS)
STATEMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "hold": (HOLD, {"source_ids": of_texts([f"post-{n}" for n in POSTS])}),
    "apply": (
        APPLY,
        {
            "ids": IDS,
            "titles": TEXTS,
            "bodies": TEXTS,
            "times": of_texts(["2026-01-01T00:00:00+00:00"] * NUMBER),
            "webhook_ids": TEXTS,
            "deleted": of_flags([False] * NUMBER),
        },
    ),
    "find": (relations.TAGS.find, {"names": TEXTS}),
    "find category": (relations.CATEGORIES.find, {"names": TEXTS}),
    "unlink": (relations.TAGS.unlink, {"linked": IDS, "posts": IDS, "names": IDS}),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_table_is_read_through(name: str) -> None:
    statement, parameters = STATEMENTS[name]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
        [[answer]] = cursor.fetchall()
    plan = list(nodes((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]))
    assert "Seq Scan" not in {node["Node Type"] for node in plan}
