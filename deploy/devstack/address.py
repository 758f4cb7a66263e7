"""Where the web process listens."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass

from deploy.devstack.ports import free_port, is_free

HOST = "127.0.0.1"
DEFAULT_PORT = 8000


class PortTaken(Exception):
    """The port that was asked for cannot be had; the message says which and what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """A free port and, where it is not the usual one, the reason.

    It stays reserved against other runs on this machine until ``close``.
    """

    port: int
    reservation: socket.socket | None = None
    note: str | None = None

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def notes(self) -> list[str]:
        return [] if self.note is None else [self.note]

    def close(self) -> None:
        if self.reservation is not None:
            self.reservation.close()


def choose(asked: str | None) -> Address:
    """The port asked for, or else 8000, or else a free one.

    Raises:
        PortTaken: the port asked for is in use or is no port.
    """
    if not asked:
        usual = _reserved(DEFAULT_PORT)
        return usual if usual is not None else _another()
    if not asked.isdecimal() or not 0 < int(asked) < 65536:
        raise PortTaken(f"PORT={asked} is not a port: give a number from 1 to 65535")
    if (found := _reserved(int(asked))) is None:
        raise PortTaken(
            f"port {asked} on {HOST} is taken (or not for this user): "
            "give another PORT, or none to have a free one chosen"
        )
    return found


def _another() -> Address:
    while True:
        port = free_port()
        if (found := _reserved(port)) is not None:
            note = f"port {DEFAULT_PORT} is taken, so the web process listens on {port}"
            return Address(port, found.reservation, note)


def _reserved(port: int) -> Address | None:
    try:
        reservation = _reserve(port)
    except OSError:
        return None
    if is_free(port):
        return Address(port, reservation)
    if reservation is not None:
        reservation.close()
    return None


def _reserve(port: int) -> socket.socket | None:
    """Tell other runs that this port will be used: it is bound only seconds after it was chosen.

    A name in Linux's abstract namespace is as wide as the ports (a network namespace), and the
    kernel takes it back however its holder dies.
    """
    if sys.platform != "linux":
        return None
    reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        reservation.bind(f"\0pillarbox-port-{port}")
    except OSError:
        reservation.close()
        raise
    return reservation
