"""What an earlier run of this stack has left."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 15.0
"""Seconds to wait for the processes of a run that was killed: its guard is stopping them."""
GUARD_SECONDS = 1.0
"""Seconds that the guard may need for its last step."""


def wait_for_end(pids: Path, say: Callable[[str], None], patience: float = PATIENCE) -> None:
    """Wait until no process of the run before is left, and remove its stale pid files.

    A run that was killed is gone at once, its processes a few seconds later; a database that is
    started meanwhile would find its files in use. A number that lives on after ``patience``
    seconds belongs to a stranger by now.
    """
    if running := _running(pids):
        say(f"waiting for the run before to end ({', '.join(sorted(running))})")
        _wait_until(lambda: not _running(pids), patience)
        # Its guard removes them last; later it would remove those of the new processes.
        _wait_until(lambda: not _files(pids), GUARD_SECONDS)
    for path in _files(pids):
        path.unlink(missing_ok=True)


def _wait_until(ready: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not ready() and time.monotonic() < until:
        time.sleep(0.05)


def _running(pids: Path) -> list[str]:
    return [path.name for path in _files(pids) if _is_running(path)]


def _files(pids: Path) -> list[Path]:
    return list(pids.iterdir()) if pids.is_dir() else []


def _is_running(path: Path) -> bool:
    try:
        os.kill(int(path.read_text()), 0)
    except PermissionError:
        return True
    except (OSError, ValueError, OverflowError):
        return False
    return True
