"""What a run found, as lines to print."""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections import Counter, defaultdict

from tests.chaos.checker import INVARIANTS
from tests.chaos.ledgers import Ledgers
from tests.chaos.run import Outcome

SHOWN = 5
"""Objections to one invariant that are told in full."""


def lines(outcome: Outcome, seed: int) -> list[str]:
    """The table of faults, the figures, and the word on each invariant."""
    ledgers = outcome.ledgers
    objected = Counter(each.invariant for each in outcome.objections)
    messages = len({each.message_id for each in ledgers.accepted})
    repeated = outcome.tries - len({each.webhook_id for each in ledgers.accepted})
    doubled = sum(n > 1 for n in Counter(each.message_id for each in ledgers.effects).values())
    return [
        "",
        *_faults(ledgers),
        "",
        f"seed {seed}, {outcome.seconds:.0f} s, {len(ledgers.faults)} faults",
        f"  messages              {messages:>8,}",
        f"  lost                  {_lost(ledgers):>8,}",
        f"  duplicated deliveries {repeated:>8,}  sent again by the client",
        f"                        {outcome.sent_again:>8,}  messages sent again by the relay",
        f"  duplicated effects    {doubled:>8,}",
        f"  half-seen Posts       {objected['whole-version']:>8,}",
        f"  longest stall         {longest_stall(ledgers):>8.1f}  s with work owed and none done",
        f"  slowest message       {slowest(ledgers):>8.1f}  s from its first 202 to its effect",
        f"  ended by themselves   {len(outcome.ended):>8,}  processes, without a fault of ours",
        "",
        *(f"  {name:<22}{_word(objected[name])}" for name in INVARIANTS),
        *_told(outcome),
    ]


def broken(outcome: Outcome) -> bool:
    """Whether the run shows anything that must not be."""
    return bool(outcome.objections or outcome.complaints or outcome.ended)


def recoveries(ledgers: Ledgers) -> dict[str, list[float]]:
    """By kind of fault: seconds from its end to the effect of a delivery accepted since.

    Only of faults that were made alone: of several at once the last one healed would count for all.
    Where the next fault came first, it holds this one's recovery up too.
    """
    effected = {effect.message_id: effect.at for effect in reversed(ledgers.effects)}
    known = [each for each in ledgers.accepted if each.message_id in effected]
    known.sort(key=lambda each: each.at)
    starts = [each.at for each in known]
    # From each of them on, the earliest effect.
    earliest: list[float] = []
    for each in reversed(known):
        at = max(effected[each.message_id], each.at)
        earliest.append(min(at, earliest[-1]) if earliest else at)
    earliest.reverse()
    found: dict[str, list[float]] = defaultdict(list)
    for fault in ledgers.faults:
        found[fault.kind]
        if fault.alone and (index := bisect_left(starts, fault.heals)) < len(starts):
            found[fault.kind].append(earliest[index] - fault.heals)
    return found


def longest_stall(ledgers: Ledgers) -> float:
    """The longest time, in seconds, in which work was owed and none took effect."""
    effected = {effect.message_id: effect.at for effect in reversed(ledgers.effects)}
    first = {each.message_id: each.at for each in reversed(ledgers.accepted)}
    events = [(at, 1) for id_, at in first.items() if id_ in effected]
    events += [(max(at, first[id_]), -1) for id_, at in effected.items() if id_ in first]
    longest, owed, since = 0.0, 0, 0.0
    for at, change in sorted(events, key=lambda event: (event[0], -event[1])):
        if change < 0:
            longest = max(longest, at - since)
        if change < 0 or owed == 0:
            since = at
        owed += change
    return longest


def slowest(ledgers: Ledgers) -> float:
    """The longest time, in seconds, from an acceptance to its effect."""
    first = {each.message_id: each.at for each in reversed(ledgers.accepted)}
    return max(
        (each.at - first.get(each.message_id, each.at) for each in ledgers.effects), default=0
    )


def _faults(ledgers: Ledgers) -> list[str]:
    alone = Counter(fault.kind for fault in ledgers.faults if fault.alone)
    lines = [f"{'fault':<24}{'alone':>7}{'joined':>8}{'recovery':>10}{'worst':>8}  s"]
    for kind, seconds in sorted(recoveries(ledgers).items()):
        joined = sum(fault.kind == kind for fault in ledgers.faults) - alone[kind]
        middle = statistics.median(seconds) if seconds else 0.0
        worst = max(seconds, default=0.0)
        lines.append(f"{kind:<24}{alone[kind]:>7}{joined:>8}{middle:>10.2f}{worst:>8.2f}")
    return lines


def _lost(ledgers: Ledgers) -> int:
    """Accepted, and neither done nor there to be worked or looked at."""
    stored = ledgers.stored
    kept = {live.message_id for live in stored.live}
    kept |= set(stored.done) & {effect.message_id for effect in ledgers.effects}
    return len({each.message_id for each in ledgers.accepted} - kept)


def _word(objections: int) -> str:
    return f"BROKEN, {objections} times" if objections else "kept"


def _told(outcome: Outcome) -> list[str]:
    told = []
    for name in INVARIANTS:
        mine = [each.what for each in outcome.objections if each.invariant == name]
        told += [f"{name}: {what}" for what in mine[:SHOWN]]
    told += [f"complaint: {what}" for what in outcome.complaints[: 2 * SHOWN]]
    told += [f"ended: {what}" for what in outcome.ended[:SHOWN]]
    return told
