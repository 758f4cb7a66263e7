"""The process that is a peer: it fills, says that it is ready, waits for a line, and works."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import distributions
from typing import Any, Protocol, TextIO

from benchmarks.peers.kit.addresses import Addresses

BLOCK = 50
"""Transactions of one kind in a row, before as many of the other."""


class Peer(Protocol):
    """What a peer's own folder holds."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What its documents advise, or what was tried and is the best."""

    def fill(self, numbers: range, /) -> None:
        """Enqueue a message for each of these Posts."""

    def dispatch(self, rows: int, /) -> float:
        """Bring so many messages out; the seconds from the first claim to the last mark."""

    def enqueue(self, numbers: range, /) -> None:
        """A transaction for each: the Post, and its message."""

    def insert(self, numbers: range, /) -> None:
        """A transaction for each: the Post alone."""


def serve(make: Callable[[Addresses, str], Peer]) -> None:
    """Do what the command line says, and print one JSON document.

    `make` gets the addresses and the variant, and makes what the peer needs in the database.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=["dispatch", "enqueue"])
    parser.add_argument("--database", required=True)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--queue", required=True)
    parser.add_argument("--stomp-port", type=int, default=0)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--variant", default="", help="of its settings, if it has any")
    options = parser.parse_args()
    with _answers() as answers:
        addresses = Addresses(options.database, options.broker, options.queue, options.stomp_port)
        peer = make(addresses, options.variant)
        if options.work == "dispatch":
            peer.fill(range(options.rows))
        print("ready", file=answers, flush=True)
        sys.stdin.readline()
        work = _dispatch if options.work == "dispatch" else _enqueue
        found = work(peer, options.rows)
        found |= {"settings": dict(peer.settings), "python": platform.python_version()}
        found["versions"] = {each.name: each.version for each in distributions()}
        print(json.dumps(found), file=answers, flush=True)
        sys.stdin.read()  # whoever started it still reads our processor time


def _answers() -> TextIO:
    """Our standard output. What peers print goes to the standard error from now on."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _dispatch(peer: Peer, rows: int) -> dict[str, Any]:
    return {"seconds": peer.dispatch(rows)}


def _enqueue(peer: Peer, rows: int) -> dict[str, Any]:
    """Blocks with and without the message in turn, so that both meet the same machine."""
    seconds: dict[str, list[float]] = {"enqueue": [], "insert": []}
    for start in range(0, 2 * rows, 2 * BLOCK):
        middle, end = start + BLOCK, start + 2 * BLOCK
        for name, numbers in (("enqueue", range(start, middle)), ("insert", range(middle, end))):
            began = time.monotonic()
            getattr(peer, name)(numbers)
            seconds[name].append(time.monotonic() - began)
    blocks = len(seconds["enqueue"])
    return {"blocks": seconds, "seconds": sum(seconds["enqueue"]), "rows": blocks * BLOCK}
