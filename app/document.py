"""A Post as its readers get it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, QuerySet

from app.models import Category, Post, Tag


class PostDocument(msgspec.Struct, frozen=True):
    """One version of a Post. `timestamp` is the source's, in UTC; the names are in their order."""

    source_id: str
    title: str
    body: str
    categories: list[str]
    tags: list[str]
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]


def documents(posts: QuerySet[Post]) -> dict[int, PostDocument]:
    """Read these Posts with all their names, by primary key.

    One statement, and therefore one snapshot: with a statement for each relation, text and names of
    a Post could be of two versions.
    """
    rows = posts.order_by().values_list(
        "pk",
        "source_id",
        "title",
        "body",
        _names(Category),
        _names(Tag),
        "source_timestamp",
    )
    return {
        pk: PostDocument(source_id, title, body, categories, tags, timestamp.astimezone(UTC))
        for pk, source_id, title, body, categories, tags, timestamp in rows
    }


def _names(model: type[Category | Tag]) -> ArraySubquery:
    return ArraySubquery(model.objects.filter(posts=OuterRef("pk")).order_by("name").values("name"))
