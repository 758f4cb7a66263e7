"""What the client sends: which delivery it is depends on the seed and its number alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.chaos.ledgers import Version

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
VERSIONS = 6
"""Of one Post, about; deliveries of a dozen Posts are under way at a time."""
NEIGHBOURS = 12
SHELVES = 5
"""Names that all Posts share, so that those who fill them meet."""


def delivery(seed: int, number: int) -> Version:
    """What is sent under this number: now and then the same as under the one before.

    Both are then under way at once, as when a sender loses patience and its first try is served.
    """
    twin = number > 0 and Random(f"twin {seed} {number}").random() < 0.05
    return version(seed, number - twin)


def version(seed: int, number: int) -> Version:
    """The version of this number. Its words are its own, but for the names that all share.

    Times of one Post go to and fro, and some are equal: which version is the newest does not
    depend on the order of arrival.
    """
    random = Random(f"delivery {seed} {number}")
    post = f"post{number // VERSIONS + random.randrange(NEIGHBOURS)}"
    at = (EPOCH + timedelta(seconds=(number + random.randrange(24)) // 3)).isoformat()
    webhook_id = f"chaos_{seed}_{number}"
    kind = random.choices(("post.created", "post.updated", "post.deleted"), (4, 10, 1))[0]
    if kind == "post.deleted":
        return Version(webhook_id, post, kind, at)
    shelves = random.sample(range(SHELVES), random.randrange(3))
    marks = random.sample(range(4 * SHELVES), random.randrange(5))
    bare = random.random() < 0.05  # a Post may well have no names at all
    return Version(
        webhook_id,
        post,
        kind,
        at,
        title=f"title{number}",
        body=f"body{number} " + " ".join(f"line{n}" for n in range(random.randrange(20))),
        categories=() if bare else (f"category{number}", *(f"shelf{n}" for n in shelves)),
        tags=() if bare else (f"tag{number}", *(f"mark{n}" for n in marks)),
    )


def is_repeated(seed: int, number: int) -> bool:
    """Whether the client sends it once more after its 202, as if it had not heard it."""
    return Random(f"again {seed} {number}").random() < 0.05


def encoded(version: Version) -> bytes:
    """The body of the delivery."""
    data: dict[str, Any] = {"id": version.post}
    if not version.deleted:
        data |= {
            "title": version.title,
            "body": version.body,
            "categories": list(version.categories),
            "tags": list(version.tags),
        }
    return json.dumps({"type": version.kind, "timestamp": version.at, "data": data}).encode()
