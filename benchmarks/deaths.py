"""Kills each process of the running service in turn, and follows what it held to its end."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

from deploy.devstack.console import Console
from tests.killer import NAMES, Blow, Killer
from tests.senders import Senders
from tests.service import running
from tests.sql import query
from tests.waiting import eventually

SENDERS, PAUSE_SECONDS = 4, 0.2
FROZEN_SECONDS = 0.1
"""So long a process is frozen before it is killed: a relay that has sent what it claimed, and only
not marked it yet, holds nothing up."""
TRIES = 5
"""So many times each process is killed at most, for each time that it is to have held something."""
BACKLOG = 10
MARGIN_SECONDS = 60.0
REPORT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Death:
    """A process that was killed, and what it held; the web process: what was sent to it."""

    name: str
    at: datetime
    messages: frozenset[UUID]
    deliveries: frozenset[int]
    left: bool
    """Whether any of it was left for others to do, and not just about to be done without it."""


@dataclass(slots=True)
class Figures:
    """Of one process: a number for each time that it was killed. Durations are in seconds."""

    held: list[int] = field(default_factory=list)
    """Messages that it held and left to others."""
    recovery: list[float] = field(default_factory=list)
    """From its death to the `done` of the last of them, where it held any."""
    restart: list[float] = field(default_factory=list)
    """From its death to its successor's being ready."""


@dataclass(frozen=True, slots=True)
class Times:
    """Lease and re-dispatch time of a service, in seconds."""

    lease: int
    redispatch: int


def measure(times: Times, kills: int, folder: Path, console: Console) -> dict[str, Figures]:
    """Kill each process until it held something so many times, under load.

    Raises TimeoutError if anything is not done in time.
    """
    query("TRUNCATE outbox_message, outbox_history, app_delivery, app_post CASCADE")
    environment = {
        "OUTBOX_LEASE_SECONDS": str(times.lease),
        "OUTBOX_REDISPATCH_SECONDS": str(times.redispatch),
    }
    with (
        running(folder, **environment) as service,
        Senders(service, threads=SENDERS, pause=PAUSE_SECONDS) as senders,
    ):
        killer = Killer(service, lease=times.lease, pause=FROZEN_SECONDS)
        deaths = list(_kill_all(killer, senders, kills, console))
        senders.finish(0, MARGIN_SECONDS)
        _wait_for_the_last(times, len(senders.accepted), console)
        killer.wait_until_ready()
        return _figures(deaths, killer, senders)


def _kill_all(killer: Killer, senders: Senders, kills: int, console: Console) -> Iterator[Death]:
    held, killed = Counter[str](), Counter[str]()
    while wanted := [n for n in NAMES if held[n] < kills and killed[n] < kills * TRIES]:
        for name in wanted:
            blow = killer.strike(name)
            sent = frozenset(senders.under_way.copy() if name == "web" else ())
            killer.revive(name)
            # One at a time, or the restart and the backlog of another would be measured too.
            eventually(lambda: killer.is_warm(name) and _is_calm(), MARGIN_SECONDS)  # noqa: B023
            killed[name] += 1
            left = bool(sent) or _is_left(blow)
            held[name] += left
            yield Death(name, blow.at, blow.held, sent, left)
        done = ", ".join(f"{name} {held[name]} of {killed[name]}" for name in NAMES)
        console.say(f"killed with work in hand: {done}; {len(senders.accepted)} accepted")


def _is_left(blow: Blow) -> bool:
    """Whether what a process died with was not just sent, and done without it.

    A worker's messages are others' at once: they are.
    """
    waiting = "SELECT count(*) FROM outbox_message WHERE id = ANY(%s)"
    return blow.name == "worker" or bool(query(waiting, list(blow.held))[0][0])


def _is_calm() -> bool:
    """Whether all is on its way, but for what waits for a lease."""
    waiting = query("SELECT count(*) FROM outbox_message WHERE lease_token IS NULL")
    return bool(waiting[0][0] < BACKLOG)


def _wait_for_the_last(times: Times, accepted: int, console: Console) -> None:
    end = time.monotonic() + times.lease + times.redispatch + MARGIN_SECONDS
    told = 0.0
    while left := query("SELECT count(*) FROM outbox_message")[0][0]:
        if time.monotonic() > end:
            raise TimeoutError(f"{left} of {accepted} messages were not done in time")
        if time.monotonic() - told > REPORT_SECONDS:
            told = time.monotonic()
            console.say(f"{left} of {accepted} messages wait for a lease to run out")
        time.sleep(0.05)


def _figures(deaths: list[Death], killer: Killer, senders: Senders) -> dict[str, Figures]:
    done = dict(query("SELECT id, done_at FROM outbox_history"))
    figures = {name: Figures() for name in NAMES}
    last_holder = {each: death for death in deaths for each in _held_by(death, senders)}
    for death in deaths:
        mine = [each for each, holder in last_holder.items() if holder is death]
        waits = [(done[each] - death.at).total_seconds() for each in mine]
        own = figures[death.name]
        own.held.append(sum(seconds > 0 for seconds in waits) if death.left else 0)
        if own.held[-1]:
            own.recovery.append(round(max(waits), 3))
    for down in killer.downs:
        figures[down.name].restart.append(round(down.seconds, 3))
    return figures


def _held_by(death: Death, senders: Senders) -> frozenset[UUID]:
    sent = {UUID(senders.accepted[number]) for number in death.deliveries}
    return death.messages | sent


def middle(values: list[float]) -> float:
    """The median, or 0 of nothing."""
    return statistics.median(values) if values else 0.0
