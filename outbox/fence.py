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
    for token, ids in _by_token(messages).items():
        fence = {"ids": of_ids(ids), "token": token}
        found.update(row[0] for row in run(statement, **parameters, **fence))
    return found


def kept(run: Run, statement: str, messages: Sequence[Message], **parameters: Any) -> set[UUID]:
    """Run a statement that returns the ids which it did not: in good days it returns no row."""
    found: set[UUID] = set()
    # Of two claims of one message, the one may have lost it to the other.
    for token, ids in _by_token(messages).items():
        lost = {row[0] for row in run(statement, **parameters, ids=of_ids(ids), token=token)}
        found.update(each for each in ids if each not in lost)
    return found


def single(rows: list[tuple[Any, ...]], message: Message) -> tuple[Any, ...]:
    """The row that came of a message. Raises `LeaseLost` when there is none."""
    if not rows:
        raise LeaseLost(f"message {message.id} was taken by another process meanwhile")
    return rows[0]


def _by_token(messages: Iterable[Message]) -> dict[UUID | None, list[UUID]]:
    by_token: dict[UUID | None, list[UUID]] = {}
    for message in messages:
        by_token.setdefault(message.lease_token, []).append(message.id)
    return by_token
