"""Categories and tags of many Posts at once: the same few statements for any number of them.

Every function runs inside the caller's transaction, which holds the Posts. Rows are locked in one
order (names sorted, categories before tags), so that two post-processors never wait for each other
in a circle.
"""

# ruff: noqa: S608 - the statements are built from the names in this module alone

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.database import run
from outbox.arrays import of_numbers, of_texts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Relation:
    """The statements of one many-to-many relation of a Post."""

    find: str
    insert: str
    unlink: str
    link: str


def _relation(names: str, links: str, column: str) -> Relation:
    # The key share lock is the one that the foreign key takes at commit: taken now, nobody can
    # delete or rename a category between this statement and the relation that needs it.
    return Relation(
        find=f"""
            SELECT name, id FROM {names} WHERE name = ANY(%(names)s::text[])
            ORDER BY name FOR KEY SHARE
        """,
        insert=f"""
            INSERT INTO {names} (name) SELECT unnest(%(names)s::text[])
            ON CONFLICT (name) DO NOTHING RETURNING name, id
        """,
        unlink=f"""
            DELETE FROM {links} AS link
            WHERE link.post_id = ANY(%(linked)s::bigint[]) AND NOT EXISTS (
                SELECT FROM unnest(%(posts)s::bigint[], %(names)s::bigint[]) AS wanted (post, name)
                WHERE (post, name) = (link.post_id, link.{column})
            )
        """,
        link=f"""
            INSERT INTO {links} (post_id, {column})
            SELECT * FROM unnest(%(posts)s::bigint[], %(names)s::bigint[])
            ON CONFLICT DO NOTHING
        """,
    )


CATEGORIES = _relation("app_category", "app_post_categories", "category_id")
TAGS = _relation("app_tag", "app_post_tags", "tag_id")


def replace(
    relation: Relation, wanted: Mapping[int, Collection[str]], linked: Collection[int]
) -> None:
    """Give each Post, by its primary key, exactly the names wanted; make those that are missing.

    `linked` are the Posts that have relations already: of others none can be unwanted.
    """
    ids = _ids(relation, sorted({name for names in wanted.values() for name in names}))
    pairs = [(post, ids[name]) for post, names in wanted.items() for name in names]
    posts = of_numbers([post for post, _ in pairs])
    names = of_numbers([name for _, name in pairs])
    if linked:
        run(relation.unlink, linked=of_numbers(linked), posts=posts, names=names)
    if pairs:
        run(relation.link, posts=posts, names=names)


def _ids(relation: Relation, names: Sequence[str]) -> dict[str, int]:
    if not names:
        return {}
    ids = dict(run(relation.find, names=of_texts(names)))
    if missing := [name for name in names if name not in ids]:
        ids |= dict(run(relation.insert, names=of_texts(missing)))
    # What another transaction has inserted meanwhile: a new statement sees it.
    if missing := [name for name in names if name not in ids]:
        ids |= dict(run(relation.find, names=of_texts(missing)))
    return ids
