"""The journey of one delivery as people read it: every figure was measured, none is assumed."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a look at the replica found, and which stays true until the next sighting."""

    at: float  # seconds since the delivery was sent
    post: bool
    categories: int = 0
    tags: int = 0

    def __str__(self) -> str:
        if not self.post:
            return "no Post"
        return f"Post, {_count(self.categories, 'category')}, {_count(self.tags, 'tag')}"


@dataclass(frozen=True, slots=True)
class Journey:
    """Seconds since the delivery was sent, for each stage; the stages are the database's own times.

    ``sightings`` is None when there is no replica to look at.
    """

    received: float
    answered: float
    ready: float
    dispatched: float
    done: float
    categories: int
    tags: int
    sent: float = 0.0  # the moment, by time.monotonic()
    sightings: Sequence[Sighting] | None = None
    confirms: bool = True  # whether the broker confirms what it takes
    watched: float = 0.0  # until when the replica was watched
    replica_error: str | None = None  # why the watch ended early

    def seen_by(
        self, sightings: Sequence[Sighting], *, watched: float, error: str | None = None
    ) -> Journey:
        """The same journey with what the replica showed meanwhile."""
        return replace(self, sightings=sightings, watched=watched, replica_error=error)

    def on_replica(self, at: float) -> Sighting | None:
        """The sighting that was true at a moment; None when there was none by then."""
        return next((s for s in reversed(self.sightings or ()) if s.at <= at), None)

    def first_with_post(self) -> Sighting | None:
        return next((s for s in self.sightings or () if s.post), None)

    def first_whole(self) -> Sighting | None:
        return next((s for s in self.sightings or () if self.is_whole(s)), None)

    def is_whole(self, sighting: Sighting) -> bool:
        return (
            sighting.post and sighting.categories >= self.categories and sighting.tags >= self.tags
        )


def lines(journey: Journey) -> list[str]:
    """The whole of it."""
    title = "The journey of a sample delivery, measured just now:"
    return [title, "", *table(journey), "", *verdict(journey)]


def table(journey: Journey) -> list[str]:
    """The stages, one a line, each with its time and what the replica held at that moment."""
    broker = "the broker confirmed the task" if journey.confirms else "the broker has the task"
    stages = [
        (journey.answered, "answered 202", "Post and message in one commit"),
        (journey.ready, "ready", "categories and tags filled"),
        (journey.dispatched, "dispatched", broker),
        (journey.done, "done", "task ran on the primary, indexed"),
    ]
    rows = [("since sent", "stage", "what happened", "replica by then")]
    for at, stage, what in stages:
        seen = journey.on_replica(at)
        rows.append((_ahead(at), stage, what, "" if seen is None else str(seen)))
    if not journey.sightings:
        rows = [(*row[:3], "") for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        f"  {row[0]:>{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]}".rstrip()
        for row in rows
    ]


def verdict(journey: Journey) -> list[str]:
    """What the replica saw meanwhile, and why that matters to a task."""
    if journey.sightings is None:
        said = "There is no replica here (DATABASE_REPLICA_URL is not given)."
    elif journey.replica_error is not None:
        said = f"The replica could not be watched: {journey.replica_error}"
    else:
        said = f"{_when_seen(journey)} {_what_it_means(journey)}"
    return textwrap.wrap(said, 78, initial_indent="  ", subsequent_indent="  ")


def _when_seen(journey: Journey) -> str:
    post, whole = journey.first_with_post(), journey.first_whole()
    if post is None:
        return f"The replica still had no Post when the watch ended, after {journey.watched:.1f} s."
    seen = f"The replica saw the Post {_span(post.at - journey.received)} after it was received"
    if whole is None:
        return f"{seen}, but not its categories and tags within {journey.watched:.1f} s."
    if whole is post:
        return f"{seen}, with its categories and tags."
    return f"{seen}, and its categories and tags {_span(whole.at - journey.ready)} after ready."


def _what_it_means(journey: Journey) -> str:
    then = journey.on_replica(journey.done)
    if then is None or not then.post:
        return (
            "When the task ran, the replica had no Post at all: "
            "a task that read it would have found nothing. Ours reads the primary."
        )
    if not journey.is_whole(then):
        return (
            "When the task ran, the replica had the Post, but not its categories and tags: "
            "a task that read it would have worked on half a Post. Ours reads the primary."
        )
    return (
        "When the task ran, the replica had it all: luck this time, not a promise. "
        "Ours reads the primary, whatever the replica does."
    )


def _ahead(seconds: float) -> str:
    return f"+{seconds * 1000:,.0f} ms"


def _span(seconds: float) -> str:
    """A length of time; two clocks may disagree by a hair, which must not print as a minus."""
    seconds = max(seconds, 0.0)
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _count(number: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number or 'no'} {noun if number == 1 else plural}"
