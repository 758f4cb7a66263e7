"""What is written down while a run lasts, and what is judged at its end: plain records.

They know no more of the service than its contract: webhook-ids, Posts, message ids, states, times.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Version:
    """What one delivery says of a Post. `at` is the source's time, in ISO 8601 with its zone."""

    webhook_id: str
    post: str
    kind: str
    at: str
    title: str = ""
    body: str = ""
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def deleted(self) -> bool:
        return self.kind == "post.deleted"

    @property
    def order(self) -> tuple[datetime, bool, bytes]:
        """What makes one version of a Post newer than another."""
        return datetime.fromisoformat(self.at), self.deleted, self.webhook_id.encode()


@dataclass(frozen=True, slots=True)
class Accepted:
    """A 202 that a client got; `at` is when, in seconds since 1970."""

    webhook_id: str
    message_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A Post as somebody saw it. `words` is what it is found by; None: by nothing."""

    title: str
    body: str
    categories: tuple[str, ...]
    tags: tuple[str, ...]
    deleted_at: str | None
    words: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Effect:
    """One run of a task's body that was committed, and what it saw."""

    message_id: str
    post: str
    seen: Seen
    at: float


@dataclass(frozen=True, slots=True)
class Live:
    """A message that is not done, as it was at one look.

    `due_in` is in seconds; None: never, or no time. `at` is when, in seconds since 1970.
    """

    message_id: str
    state: str
    due_in: float | None
    error: str
    at: float


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault that was made. `heals` is when it was over, as far as its maker is concerned."""

    kind: str
    target: str
    begins: float
    heals: float
    alone: bool


@dataclass(slots=True)
class Stored:
    """What the database holds at the end."""

    deliveries: dict[str, str] = field(default_factory=dict)
    """Message id by webhook-id."""
    live: list[Live] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    """Message ids; each of them once, if all is well."""
    posts: dict[str, Seen] = field(default_factory=dict)


@dataclass(slots=True)
class Ledgers:
    """All of it. `looks` has what was odd in the course of the run, and each death once."""

    sent: list[Version] = field(default_factory=list)
    accepted: list[Accepted] = field(default_factory=list)
    stored: Stored = field(default_factory=Stored)
    effects: list[Effect] = field(default_factory=list)
    looks: list[Live] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


class Book:
    """A file with a line of JSON for each record; a line is with the kernel when `write` returns.

    So it survives this process, whatever ends it. Safe to use from several threads.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, record: Any) -> None:
        """Append one record, a dataclass."""
        line = f"{json.dumps(asdict(record))}\n".encode()
        written = os.write(self._descriptor, line)
        if written != len(line):
            raise OSError(f"{self.path}: a line of {len(line)} bytes was cut at {written}")

    def close(self) -> None:
        os.close(self._descriptor)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a book, each as a dictionary whose lists are tuples."""
    with path.open() as lines:
        for line in lines:
            record = json.loads(line)
            yield {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in record.items()
            }
