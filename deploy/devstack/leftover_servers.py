"""Servers of an earlier start that still use a data folder: nobody was left to stop them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from deploy.devstack.process import StartFailed


def end_servers(data: Path, program: str) -> None:
    """End what runs `program` with `data` as its working folder; two servers would spoil it.

    SIGQUIT at first, SIGKILL after 5 s. Raises StartFailed when some are left after 10 s.
    Where there is no /proc, nothing is found.
    """
    began = time.monotonic()
    while left := _at_work(data, program):
        waited = time.monotonic() - began
        if waited > 10:
            raise StartFailed(f"processes {left} of an earlier start still use {data}")
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGQUIT if waited < 5 else signal.SIGKILL)
        time.sleep(0.1)


def _at_work(data: Path, program: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        # Gone meanwhile, or another user's: not one of ours.
        with contextlib.suppress(OSError):
            if (entry / "comm").read_text().strip() == program and (entry / "cwd").samefile(data):
                found.append(int(entry.name))
    return found
