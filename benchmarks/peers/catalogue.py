"""Who is measured beside us."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Peer:
    """A package, and the folder here that knows how to work with it."""

    name: str
    """On PyPI."""
    django: bool = True
    """Whether it is an outbox for Django, and no job queue."""
    oldest_python: tuple[int, int] = (3, 11)
    stomp: bool = False
    """Whether it speaks STOMP and not AMQP to the broker."""
    variants: Mapping[str, str] = field(default_factory=lambda: {"": ""})
    """What `run.py` calls them -> what readers do; the first is as its own documents advise."""

    @property
    def folder(self) -> str:
        return self.name.replace("-", "_")

    def title(self, variant: str) -> str:
        """Its name, and the variant's if that has one."""
        return ", ".join(filter(None, [self.name, self.variants[variant]]))


JOBS = {"publish": "a job publishes", "nothing": "a job does nothing"}
"""Those who do nothing put no message into any queue: that work is left out."""

PEERS = (
    Peer("django-celery-outbox", variants={"": "", "threads": "10 threads"}),
    Peer("django-outbox-pattern", stomp=True),
    Peer("django-jaiminho"),
    Peer("django-reliable-outbox", oldest_python=(3, 12)),
    Peer("procrastinate", django=False, variants=JOBS),
    Peer("pgqueuer", django=False, variants=JOBS),
)
