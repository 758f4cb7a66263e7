"""Every kind of read of a Post, and what it gives in the old version and in the new."""

from __future__ import annotations

from typing import Any

from app.models import Post, Tag

Reads = dict[str, Any]


def every_kind_of_read(post: Post) -> Reads:
    """What each kind of read sees. `post` may have come from either database."""
    link = Post.tags.through.objects.get(post_id=post.pk)
    [prefetched] = Post.objects.filter(pk=post.pk).prefetch_related("tags", "categories")
    joined = Post.tags.through.objects.select_related("post", "tag").get(post_id=post.pk)
    return {
        "get": Post.objects.get(pk=post.pk).title,
        "tags": [tag.name for tag in post.tags.all()],
        "categories": [category.name for category in post.categories.order_by("pk")],
        "foreign key": [link.post.title, link.tag.name],
        "select_related": [joined.post.title, joined.tag.name],
        "reverse": [other.title for tag in post.tags.all() for other in tag.posts.all()],
        "prefetch": [tag.name for tag in prefetched.tags.all()],
        "exists": Post.objects.filter(source_id="post-2").exists(),
        "exists through": post.tags.filter(name="new").exists(),
        "count": Post.objects.count(),
        "in_bulk": [found.title for found in Post.objects.in_bulk([post.pk]).values()],
        "values": list(Post.objects.filter(pk=post.pk).values_list("tags__name", flat=True)),
        "aggregate": Tag.objects.filter(posts=post, name="new").count(),
        "iterator": [tag.name for tag in post.tags.iterator()],
        "refreshed": _refreshed(post).title,
    }


def _refreshed(post: Post) -> Post:
    again = Post(pk=post.pk)
    again._state.db = post._state.db
    again.refresh_from_db()
    return again


def seen(version: str, *, newer: bool) -> Reads:
    """What `every_kind_of_read` gives where `version` is the one that is there."""
    one = [version]
    kinds = dict.fromkeys(("tags", "categories", "reverse", "prefetch", "iterator"), one)
    return {
        **kinds,
        **dict.fromkeys(("in_bulk", "values"), one),
        **{name: [version, version] for name in ("foreign key", "select_related")},
        **dict.fromkeys(("get", "refreshed"), version),
        **dict.fromkeys(("exists", "exists through"), newer),
        "count": 1 + newer,
        "aggregate": int(newer),
    }


OLD, NEW = seen("old", newer=False), seen("new", newer=True)
