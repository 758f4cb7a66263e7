"""A RabbitMQ that speaks STOMP too, which devstack's own does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.devstack.debian import DebianPackages
from deploy.devstack.ports import free_port
from deploy.devstack.rabbitmq import Installation, RabbitMQ, find_rabbitmq
from deploy.devstack.servers import REPOSITORY
from deploy.devstack.state import State

STOP_SECONDS = 10.0


class StompRabbitMQ(RabbitMQ):
    """The same program with the same settings, and one plugin more."""

    def __init__(self, installation: Installation, folder: Path, state: State) -> None:
        super().__init__(installation, folder, state)
        self.stomp_port = free_port()

    def start(self) -> None:
        """Its configuration is written by now, and read next."""
        (self.folder / "enabled_plugins").write_text("[rabbitmq_stomp].\n")
        with (self.folder / "rabbitmq.conf").open("a") as configuration:
            configuration.write(f"stomp.listeners.tcp.1 = 127.0.0.1:{self.stomp_port}\n")
        super().start()


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a peer sends to, and whose processor time counts."""

    url: str
    pid: int
    stomp_port: int = 0


@contextmanager
def stomp_broker(folder: Path, say: Callable[[str], None]) -> Iterator[Broker]:
    """Raises Unavailable or StartFailed."""
    folder.mkdir(parents=True, exist_ok=True)
    packages = DebianPackages(REPOSITORY / "var" / "cache", folder / "apt.log", say)
    server = StompRabbitMQ(find_rabbitmq(packages), folder, State(folder / "state.json"))
    server.bring_up()
    try:
        yield Broker(server.url, server.pid, server.stomp_port)
    finally:
        server.stop(STOP_SECONDS)
