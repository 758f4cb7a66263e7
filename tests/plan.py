"""Plans of PostgreSQL, as tests read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A node of a plan in JSON and all that are below it."""
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)
