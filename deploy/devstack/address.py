"""Where the web process listens."""

from __future__ import annotations

import errno
import socket
import sys
from dataclasses import dataclass

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
    note: str | None = None
    reservation: socket.socket | None = None

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
        try:
            return _taken(DEFAULT_PORT)
        except OSError:
            free = _taken(_free_port())
            note = f"port {DEFAULT_PORT} is taken, so the web process listens on {free.port}"
            return Address(free.port, note, free.reservation)
    if not asked.isdecimal() or not 0 < int(asked) < 65536:
        raise PortTaken(f"PORT={asked} is not a port: give a number from 1 to 65535")
    try:
        return _taken(int(asked))
    except OSError as error:
        reason = "it is taken" if error.errno == errno.EADDRINUSE else error.strerror
        raise PortTaken(
            f"port {asked} on {HOST} cannot be used ({reason}): "
            "give another PORT, or none to have a free one chosen"
        ) from error


def _taken(port: int) -> Address:
    """Reserve a port that is free now. Raises OSError when it is not."""
    reservation = _reserve(port)
    try:
        with socket.socket() as probe:
            # As a server does it: a port that only waits for old connections to fade is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            probe.listen(1)
    except OSError:
        if reservation is not None:
            reservation.close()
        raise
    return Address(port, reservation=reservation)


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
