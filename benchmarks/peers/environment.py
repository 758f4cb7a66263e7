"""The virtual environment of a peer: made when it is asked for, and never ours."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.catalogue import Peer

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "peers"
VENV_SECONDS, INSTALL_SECONDS = 120, 600
NEWEST_MINOR = 14


class NotInstalled(Exception):
    """Why a peer cannot be measured."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Of one peer, whether it is there or not."""

    peer: Peer

    @property
    def lock(self) -> Path:
        return HERE / self.peer.folder / "requirements.lock"

    @property
    def python(self) -> Path:
        """Its interpreter. Raises NotInstalled."""
        if not self._complete():
            why = (
                self._complaint.read_text() if self._complaint.exists() else "run make bench-peers"
            )
            raise NotInstalled(f"could not be installed: {why}")
        return self._folder / "bin" / "python"

    def install(self, say: Callable[[str], None]) -> None:
        """Make it unless it is there. Raises NotInstalled, and `python` knows the reason after."""
        if self._complete():
            say(f"{self.peer.name}: installed already")
            return
        pinned = [line for line in self.lock.read_text().splitlines() if line.endswith("\\")]
        packages = sum("==" in line for line in pinned)
        say(f"{self.peer.name}: installing {packages} packages, with hashes ...")
        BUILD.mkdir(parents=True, exist_ok=True)
        self._complaint.unlink(missing_ok=True)
        try:
            self._make()
        except NotInstalled as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._complaint.write_text(str(error))
            raise

    def _make(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        python = interpreter(self.peer.oldest_python)
        _run([python, "-m", "venv", str(self._folder)], VENV_SECONDS)
        pip = [str(self._folder / "bin" / "python"), "-m", "pip", "install", "-q"]
        pip += ["--disable-pip-version-check", "--require-hashes", "-r", str(self.lock)]
        _run(pip, INSTALL_SECONDS)
        # Made last: an installation that was cut off starts again.
        self._stamp.write_text(self._fingerprint())

    def _complete(self) -> bool:
        return self._stamp.exists() and self._stamp.read_text() == self._fingerprint()

    def _fingerprint(self) -> str:
        return hashlib.sha256(self.lock.read_bytes()).hexdigest()

    @property
    def _folder(self) -> Path:
        return BUILD / self.peer.name

    @property
    def _stamp(self) -> Path:
        return self._folder / "installed"

    @property
    def _complaint(self) -> Path:
        return BUILD / f"{self.peer.name}.failed"


def interpreter(oldest: tuple[int, int]) -> str:
    """A Python of this version or newer, ours if that will do. Raises NotInstalled."""
    for found in _interpreters(oldest):
        command = [found, "-c", f"import sys, venv; sys.exit(sys.version_info < {oldest})"]
        try:
            if (
                subprocess.run(command, capture_output=True, timeout=30, check=False).returncode
                == 0
            ):
                return found
        except OSError:
            continue
    raise NotInstalled(f"it needs Python {oldest[0]}.{oldest[1]} or newer, and there is none")


def _interpreters(oldest: tuple[int, int]) -> Iterator[str]:
    # Outside of a virtual environment: a venv of a venv's Python breaks when that one goes.
    if sys.version_info >= oldest:
        yield str(getattr(sys, "_base_executable", sys.executable))
    for minor in range(oldest[1], NEWEST_MINOR + 1):
        if found := shutil.which(f"python3.{minor}"):
            yield found
    # pyenv's commands in PATH only work for the versions that are chosen there.
    yield from map(str, sorted(Path.home().glob(".pyenv/versions/3.*/bin/python")))


def _run(command: list[str], seconds: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise NotInstalled(f"{' '.join(command[1:4])} took longer than {seconds:.0f} s") from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise NotInstalled(f"{' '.join(command[1:4])}: {lines[-1]}")
