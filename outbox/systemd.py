"""What a process tells systemd about itself.

The protocol is one datagram of `NAME=value` lines to a socket named by the environment:
sd_notify(3) and sd_watchdog_enabled(3). Both variables are part of that protocol, not settings of
the project, so they are read here. Without systemd, everything here does nothing.
"""

from __future__ import annotations

import logging
import os
import socket

PATIENCE_SECONDS = 1.0
MORE_TIME = "EXTEND_TIMEOUT_USEC=90000000"
"""Sent while starting: not too late within 90 s of now. More than a retry takes, its wait included;
what hangs is still ended."""

logger = logging.getLogger(__name__)


def notify(state: str) -> None:
    """Send `READY=1`, `STOPPING=1`, `WATCHDOG=1` or `STATUS=text`; several are joined by newlines.

    Never raises, and waits a second at most: a process must not end, nor hang, because its
    supervisor is busy.
    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in {"/", "@"}:  # vsock addresses are for virtual machines, not for services
        return
    address = "\0" + path[1:] if path.startswith("@") else path  # '@' is the abstract namespace
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.settimeout(PATIENCE_SECONDS)
            channel.sendto(state.encode(), address)
    except OSError as error:
        logger.debug("systemd did not take %r: %s", state, error)


def watchdog_interval() -> float | None:
    """Seconds between two `WATCHDOG=1`, or None when systemd watches no process or another one.

    It is half of what systemd allows, as sd_watchdog_enabled(3) recommends.
    """
    allowed = os.environ.get("WATCHDOG_USEC", "")
    watched = os.environ.get("WATCHDOG_PID") or str(os.getpid())
    if not allowed.isdecimal() or int(allowed) == 0 or watched != str(os.getpid()):
        return None
    return int(allowed) / 1_000_000 / 2
