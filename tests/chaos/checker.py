"""The checker: it compares the ledgers, and names what was broken.

It knows the service's contract and nothing of how the service keeps it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from tests.chaos.ledgers import Ledgers, Seen, Version

STRIKES = ("kill", "freeze")
"""How the names of faults begin that can end a try without a word. An outage spends none."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the service was told, and how long it may take when all of it is up again.

    `attempts`: tries of a message before it is dead. `horizon`: how far ahead a next time may lie,
    in seconds; `patience`: how long it may be past, with everything at work.
    """

    attempts: int
    horizon: float = 3_660.0
    patience: float = 30.0


@dataclass(frozen=True, slots=True)
class Objection:
    """Something that must not be, and the name of the invariant that it breaks."""

    invariant: str
    what: str


def check(ledgers: Ledgers, terms: Terms) -> list[Objection]:
    """All that is wrong; nothing, if every promise was kept."""
    return [
        Objection(name, what)
        for name, invariant in INVARIANTS.items()
        for what in invariant(ledgers, terms)
    ]


def _accepted_is_stored(ledgers: Ledgers, _: Terms) -> Iterator[str]:
    stored = ledgers.stored
    there = {live.message_id for live in stored.live} | set(stored.done)
    posts = {version.webhook_id: version.post for version in ledgers.sent}
    for accepted in ledgers.accepted:
        told = f"{accepted.webhook_id} was accepted as {accepted.message_id}"
        kept = stored.deliveries.get(accepted.webhook_id)
        if kept is None:
            yield f"{told}, and is not in the ledger of deliveries"
        elif kept != accepted.message_id:
            yield f"{told}, and is in the ledger of deliveries as {kept}"
        elif accepted.message_id not in there:
            yield f"{told}, and there is no such message, neither live nor done"
        elif posts[accepted.webhook_id] not in stored.posts:
            yield f"{told}, and there is no Post {posts[accepted.webhook_id]}"


def _accepted_is_effected(ledgers: Ledgers, _: Terms) -> Iterator[str]:
    # A dead message is not lost: it is there to be seen, and judged by a name of its own.
    dead = {live.message_id for live in ledgers.stored.live if live.state == "dead"}
    effected = {effect.message_id for effect in ledgers.effects} | dead
    for message_id in sorted({accepted.message_id for accepted in ledgers.accepted} - effected):
        yield f"message {message_id} was accepted, and has had no effect"


def _effected_once(ledgers: Ledgers, _: Terms) -> Iterator[str]:
    times = Counter(effect.message_id for effect in ledgers.effects)
    yield from (f"message {each} took effect {n} times" for each, n in times.items() if n > 1)
    known = set(ledgers.stored.deliveries.values())
    for message_id in sorted(times.keys() - known):
        yield f"message {message_id} took effect, and no delivery brought it"
    done = Counter(ledgers.stored.done)
    done.update(live.message_id for live in ledgers.stored.live)
    yield from (f"message {each} is stored {n} times" for each, n in done.items() if n > 1)


def _whole_version(ledgers: Ledgers, _: Terms) -> Iterator[str]:
    own = {version.webhook_id: version for version in ledgers.sent}
    by_message = {id_: own.get(webhook) for webhook, id_ in ledgers.stored.deliveries.items()}
    by_message |= {each.message_id: own.get(each.webhook_id) for each in ledgers.accepted}
    of_post = _by_post(ledgers.sent)
    for effect in ledgers.effects:
        told = f"the task of message {effect.message_id} saw Post {effect.post}"
        seen = [each for each in of_post.get(effect.post, []) if shows(each, effect.seen)]
        brought = by_message.get(effect.message_id)
        if not seen:
            yield f"{told} as no version of it is: {effect.seen}"
        elif brought and brought.post != effect.post:
            yield f"{told}, and was about {brought.post}"
        elif brought and max(each.order for each in seen) < brought.order:
            yield f"{told} in {seen[-1].webhook_id}, older than its own {brought.webhook_id}"


def _newest_lasts(ledgers: Ledgers, _: Terms) -> Iterator[str]:
    dead = {live.message_id for live in ledgers.stored.live if live.state == "dead"}
    stored = ledgers.stored.deliveries
    for post, versions in _by_post([v for v in ledgers.sent if v.webhook_id in stored]).items():
        left = ledgers.stored.posts.get(post)
        # A message that died did not do its part, which was to fill the Post or to index it.
        if left is None or any(stored[version.webhook_id] in dead for version in versions):
            continue
        if not shows(versions[-1], left):
            yield f"Post {post} ends as {left}, and its newest version is {versions[-1]}"


def _always_due(ledgers: Ledgers, terms: Terms) -> Iterator[str]:
    for live in [*ledgers.looks, *ledgers.stored.live]:
        if live.state == "dead":
            continue
        told = f"message {live.message_id}, {live.state},"
        if live.due_in is None:
            yield f"{told} has no next due time"
        elif live.due_in > terms.horizon:
            yield f"{told} is due in {live.due_in:.0f} s, beyond {terms.horizon:.0f}"
    for live in ledgers.stored.live:
        if live.state != "dead" and live.due_in is not None and live.due_in < -terms.patience:
            yield f"message {live.message_id}, {live.state}, was due {-live.due_in:.0f} s ago"


def _no_unexplained_dead(ledgers: Ledgers, terms: Terms) -> Iterator[str]:
    born = {each.message_id: each.at for each in reversed(ledgers.accepted)}
    died = {live.message_id: live.at for live in ledgers.looks if live.state == "dead"}
    for live in ledgers.stored.live:
        if live.state != "dead":
            continue
        since, until = born.get(live.message_id, 0.0), died.get(live.message_id, live.at)
        strikes = [each for each in ledgers.faults if each.kind.startswith(STRIKES)]
        n = sum(each.heals >= since and each.begins <= until for each in strikes)
        if n < terms.attempts:
            yield (
                f"message {live.message_id} is dead, with {n} strikes in its life and"
                f" {terms.attempts} tries: {live.error}"
            )


def shows(version: Version, seen: Seen) -> bool:
    """Whether what was seen is this version, whole, found by its own words and no others."""
    if version.deleted:
        at = seen.deleted_at and datetime.fromisoformat(seen.deleted_at)
        bare = (seen.title, seen.body, seen.categories, seen.tags, seen.words)
        return at == version.order[0] and not any(bare)
    return (
        seen.deleted_at is None
        and (seen.title, seen.body) == (version.title, version.body)
        and sorted(seen.categories) == sorted(version.categories)
        and sorted(seen.tags) == sorted(version.tags)
        and set(seen.words or ()) == words(version)
    )


def words(version: Version) -> set[str]:
    """What a version is found by."""
    texts = (version.title, version.body, *version.categories, *version.tags)
    return {word for text in texts for word in re.findall(r"\w+", text.lower())}


def _by_post(versions: list[Version]) -> dict[str, list[Version]]:
    of_post: dict[str, list[Version]] = defaultdict(list)
    for version in sorted(versions, key=lambda version: version.order):
        of_post[version.post].append(version)
    return of_post


INVARIANTS: dict[str, Callable[[Ledgers, Terms], Iterator[str]]] = {
    "accepted-is-stored": _accepted_is_stored,
    "accepted-is-effected": _accepted_is_effected,
    "effected-once": _effected_once,
    "whole-version": _whole_version,
    "newest-lasts": _newest_lasts,
    "always-due": _always_due,
    "no-unexplained-dead": _no_unexplained_dead,
}
