"""3, its last part: the relay beside other outboxes for Django, and beside job queues."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.frame.arm import Void
from benchmarks.frame.comparison import Say, compare
from benchmarks.frame.goal import at_least
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import Options
from benchmarks.frame.quantity import Quantity
from benchmarks.frame.stage import Stage
from benchmarks.growth.crew import crew
from benchmarks.growth.drain import Drain
from benchmarks.growth.place import place
from benchmarks.growth.tray import Tray
from benchmarks.peers.arm import PeerProcess
from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.peers.environment import Environment, NotInstalled
from deploy.devstack.debian import Unavailable
from deploy.devstack.process import StartFailed

GOAL = at_least(5)
"""Beside the best outbox for Django is beside each of them, set up as its own documents advise."""
SECONDS = 3.0
"""Of a slice: each needs as many rows again before it."""
TRANSACTIONS = 3_000


def measure(stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    short = replace(options, seconds=min(options.seconds, SECONDS))
    for peer in PEERS:
        yield from _of(peer, stage, short, say)


def _of(peer: Peer, stage: Stage, options: Options, say: Say) -> Iterator[Finding]:
    what = f"relay against {peer.name}"
    try:
        _ = Environment(peer).python
        for variant in peer.variants:
            yield _against(
                PeerProcess(stage, peer, variant, say), peer, variant, stage, options, say
            )
        yield _enqueueing(peer, stage, options, say)
    except (NotInstalled, Unavailable, StartFailed) as error:
        say(f"{what}: {error}")
        yield Quantity(what, "x", [], void=str(error))


def _against(
    arm: PeerProcess, peer: Peer, variant: str, stage: Stage, options: Options, say: Say
) -> Finding:
    advised = variant == next(iter(peer.variants))
    goal = GOAL if peer.django and advised else None
    with (
        place(stage, "benchmark_relay") as where,
        crew(where, 1) as relays,
        Tray(where.name) as tray,
    ):
        relay = Drain("our relay", where, relays, tray)
        return compare(f"relay against {arm.name}", relay, [arm], options, say, goal=goal)


def _enqueueing(peer: Peer, stage: Stage, options: Options, say: Say) -> Finding:
    what = f"{peer.name}: what enqueueing adds to a transaction"
    say(what)
    arm = PeerProcess(stage, peer, next(iter(peer.variants)), say)
    try:
        with arm:
            rounds = arm.enqueue(200 if options.quick else TRANSACTIONS)
    except Void as error:
        return Quantity(what, "us", [], void=str(error))
    return Quantity(what, "us", rounds, settings=arm.settings)


LINE = Line(3, "peers", "the relay against other outboxes and job queues", measure, peers=True)
