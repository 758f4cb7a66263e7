"""One live run per stack directory."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StackInUse(Exception):
    """Another live run holds this stack directory; the message says which and what to do."""


@contextmanager
def held(stack_dir: Path) -> Iterator[int]:
    """Hold the directory for one run; gives the descriptor that carries the lock.

    The lock is the kernel's (flock), so it is gone with the process that held it, however it died.

    Raises:
        StackInUse: another live run has it.
    """
    descriptor = os.open(stack_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackInUse(_in_use(stack_dir, descriptor)) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _in_use(stack_dir: Path, descriptor: int) -> str:
    holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
    return (
        f"{stack_dir} is in use by another run (pid {holder}). "
        "Stop that one, or give this one a folder of its own: STACK_DIR=var/second make run"
    )
