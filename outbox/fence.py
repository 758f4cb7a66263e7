"""Statements on the messages of one claim or several, each guarded by its own lease token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outbox.arrays import of_ids
from outbox.exceptions import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

    from outbox.message import Message

    Run = Callable[..., list[tuple[Any, ...]]]


def won(run: Run, statement: str, messages: Sequence[Message], **parameters: Any) -> set[UUID]:
    """Run a statement that returns the ids which it changed."""
    found: set[UUID] = set()
    for fence in _fences(messages):
        found.update(row[0] for row in run(statement, **parameters, **fence))
    return found


def kept(run: Run, statement: str, messages: Sequence[Message], **parameters: Any) -> set[UUID]:
    """Run a statement that returns the ids which it did not: in good days it returns no row."""
    found = {message.id for message in messages}
    for fence in _fences(messages):
        found.difference_update(row[0] for row in run(statement, **parameters, **fence))
    return found


def single(rows: list[tuple[Any, ...]], message: Message) -> tuple[Any, ...]:
    """The row that came of a message. Raises `LeaseLost` when there is none."""
    if not rows:
        raise LeaseLost(f"message {message.id} was taken by another process meanwhile")
    return rows[0]


def _fences(messages: Sequence[Message]) -> Iterable[dict[str, Any]]:
    by_token: dict[UUID | None, list[UUID]] = {}
    for message in messages:
        by_token.setdefault(message.lease_token, []).append(message.id)
    for token, ids in by_token.items():
        yield {"ids": of_ids(ids), "token": token}
