"""Which broker: the one that was asked for, or the first that can be had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from deploy.devstack.debian import DebianPackages, Unavailable
from deploy.devstack.guard import guard
from deploy.devstack.process import Process, StartFailed
from deploy.devstack.rabbitmq import RabbitMQ, find_rabbitmq
from deploy.devstack.redis_server import Redis, find_redis
from deploy.devstack.state import State

KINDS = ("rabbitmq", "redis", "filesystem")
"""In the order of preference."""

TITLES = {"rabbitmq": "RabbitMQ", "redis": "Redis", "filesystem": "files"}


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that runs. `process` is None when it needs none."""

    url: str
    note: str
    process: Process | None


def start_broker(
    kind: str | None,
    stack_dir: Path,
    state: State,
    packages: DebianPackages,
    say: Callable[[str], None],
) -> Broker:
    """Start the broker of that kind; with None the first that can be had.

    Raises StartFailed, with the reasons, when there is none.
    """
    if kind is not None and kind not in KINDS:
        raise StartFailed(f"BROKER={kind} is not known; choose one of {', '.join(KINDS)}")
    reasons: list[str] = []
    for candidate in (kind,) if kind else KINDS:
        try:
            broker = _start(candidate, stack_dir, state, packages)
        except (Unavailable, StartFailed) as error:
            if guard.aborted:
                raise StartFailed(str(error)) from error
            reasons.append(f"{TITLES[candidate]} cannot be had: {error}")
            if kind is None:
                say(reasons[-1])
            continue
        # Of a server that failed, without the end of its log.
        others = "; ".join(reason.partition("\n")[0] for reason in reasons)
        why = f"BROKER={kind}" if kind else others or "the first choice"
        return Broker(broker.url, f"{broker.note} ({why})", broker.process)
    raise StartFailed("; ".join(reasons))


def _start(kind: str, stack_dir: Path, state: State, packages: DebianPackages) -> Broker:
    if kind == "filesystem":
        return _filesystem(stack_dir)
    server: RabbitMQ | Redis
    if kind == "rabbitmq":
        server = RabbitMQ(find_rabbitmq(packages), stack_dir, state)
    else:
        server = Redis(find_redis(packages), stack_dir, state)
    try:
        server.bring_up()
    except StartFailed:
        server.stop(2)
        raise
    return Broker(server.url, server.note, server)


def _filesystem(stack_dir: Path) -> Broker:
    """Kombu's transport over plain files: it exists everywhere, and is half a second slower."""
    folder = stack_dir / "filesystem"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    note = "Files as the broker (kombu's filesystem transport, half a second slower)"
    return Broker(f"filesystem://{quote(str(folder))}", note, None)
