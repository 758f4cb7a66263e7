"""The folder in which the workers of a web server count, each in files of its own.

The files are mapped into memory. A page of them that finds no room when it is first touched ends
the process with SIGBUS, so each worker takes the room for all of its own before it counts.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

PLACE: Final = Path("/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir())  # noqa: S108
PREFIX: Final = "pillarbox-metrics-"
FILES: Final = ("counter", "histogram", "gauge_max", "gauge_livemax", "gauge_livemostrecent")
"""How the library names a worker's files, by the kinds of metrics that there are."""
FILE_BYTES: Final = 64 * 1024
"""What the library begins a file with, several times of what is written there."""


class MetricsFolder:
    """Made by the server's own process, locked for as long as it or one of its workers lives."""

    def __init__(self) -> None:
        self._owner = os.getpid()
        for left in PLACE.glob(f"{PREFIX}*"):
            with suppress(OSError):  # another user's, one that is in use, or one that is gone
                _remove_unlocked(left)
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PLACE))
            self._lock = _open_own(self.path)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if self.path.is_dir():  # nobody took it for a leftover before it was locked
                return
            os.close(self._lock)

    def renew(self) -> None:
        """Make it again if somebody has removed it, as logind does when its user logs out.

        Raises `OSError` where that cannot be, or the name belongs to somebody else by now.
        """
        if not self._is_there():
            self.path.mkdir(mode=0o700)
            os.close(self._lock)
            self._lock = _open_own(self.path)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def reserve(self, worker: int) -> None:
        """Make the files of a worker, with room on the disk or in memory for all of each.

        Raises `OSError` where there is none; what was made is removed again.
        """
        if not self._is_there():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.path))
        files = [self.path / f"{name}_{worker}.db" for name in FILES]
        try:
            for path in files:
                with path.open("ab") as file:  # a process of the same number may have counted
                    os.posix_fallocate(file.fileno(), 0, FILE_BYTES)
        except OSError:
            for path in files:
                path.unlink(missing_ok=True)
            raise

    def forget(self, worker: int) -> None:
        """Leave out what a worker that has ended said of its present state; its counts stay."""
        for left in self.path.glob(f"gauge_live*_{worker}.db"):
            left.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove it, in the process that made it alone: a worker inherits what calls this."""
        if os.getpid() == self._owner:
            shutil.rmtree(self.path, ignore_errors=True)

    def _is_there(self) -> bool:
        """Whether the path still leads to what is locked, and not to what another made since."""
        with suppress(OSError):
            return os.path.samestat(os.fstat(self._lock), self.path.lstat())
        return False


def _open_own(folder: Path) -> int:
    """Open a folder of this user. Raises `OSError` for whatever else may bear the name.

    Anybody may put something there: a pipe without a writer, for one, would be waited for.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if os.fstat(opened).st_uid != os.geteuid():
        os.close(opened)
        raise PermissionError(f"{folder} is another user's")
    return opened


def _remove_unlocked(folder: Path) -> None:
    """Remove what a server that was killed has left; its process id may mean another by now."""
    lock = _open_own(folder)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(lock)
