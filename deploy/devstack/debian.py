"""Debian's packages, unpacked into a folder of our own: no root, no installation, no service."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.devstack.apt import Apt, OutOfReach
from deploy.devstack.process import StartFailed


class Unavailable(Exception):
    """It cannot be had on this machine; the message says why."""


class DebianPackages:
    """Packages of this machine's release, kept in `cache` for later starts and other stacks."""

    def __init__(self, cache: Path, log: Path, say: Callable[[str], None]) -> None:
        self._cache = cache
        self._log = log
        self._say = say
        self._out_of_reach: str | None = None

    def unpacked(self, package: str, wanted: str) -> Path:
        """The folder with `package` and those of its dependencies that match `wanted`.

        Downloaded on the first call, found in the cache later. Raises Unavailable.
        """
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise Unavailable("it is not on this machine, and there is no apt-get to fetch it")
        release = platform.freedesktop_os_release()
        system = f"{release['ID']}{release.get('VERSION_ID', '')}-{platform.machine()}"
        target = self._cache / f"{package}-{system}"
        if target.is_dir():
            return target
        if self._out_of_reach is not None:
            raise Unavailable(self._out_of_reach)
        try:
            self._make(target, package, wanted)
        except OutOfReach as error:
            self._out_of_reach = str(error)
            raise Unavailable(self._out_of_reach) from error
        except (StartFailed, OSError) as error:
            raise Unavailable(f"fetching {package} failed: {error}") from error
        return target

    def _make(self, target: Path, package: str, wanted: str) -> None:
        self._say(f"Fetching Debian's packages of {package}, once")
        self._cache.mkdir(parents=True, exist_ok=True)
        for left in self._cache.glob(".new-*"):
            # Of a run that was killed; a younger one may be another stack's, at work now.
            if time.time() - left.stat().st_mtime > 3600:
                shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self._cache) as work:
            apt = Apt(Path(work), self._log, self._say)
            apt.fetch(package, re.compile(wanted))
            root = Path(work) / "root"
            root.mkdir()
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda deb: _unpack(deb, root), sorted(apt.debs.glob("*.deb"))))
            try:
                # In one step: a folder of this name is always whole.
                root.rename(target)
            except OSError:
                # Another stack was faster: a folder that holds something is not replaced.
                if not target.is_dir():
                    raise


def library_path(root: Path) -> str:
    """The value of LD_LIBRARY_PATH for libraries that were unpacked below `root`."""
    folders = [*root.glob("usr/lib/*-linux-gnu*"), *root.glob("lib/*-linux-gnu*")]
    return ":".join(map(str, folders))


def _unpack(deb: Path, root: Path) -> None:
    try:
        subprocess.run(["dpkg-deb", "-x", deb, root], check=True, capture_output=True, timeout=60)
    except subprocess.SubprocessError as error:
        raise StartFailed(f"{deb.name} cannot be unpacked: {error}") from error
    deb.unlink()
