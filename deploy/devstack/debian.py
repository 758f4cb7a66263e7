"""Debian's packages, unpacked into a folder of our own: no root, no installation, no service."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.devstack.process import Process, StartFailed, run

STALL_SECONDS = 6.0
"""A mirror that sends nothing for so long counts as out of reach."""

DOWNLOAD_SECONDS = 150.0


class Unavailable(Exception):
    """It cannot be had on this machine; the message says why."""


class DebianPackages:
    """Packages for this machine, each with what it needs and the machine has not."""

    def __init__(self, cache: Path, log: Path, say: Callable[[str], None]) -> None:
        self._cache = cache
        self._log = log
        self._say = say
        self._out_of_reach: str | None = None

    def unpacked(self, package: str, wanted: str) -> Path:
        """The folder with `package` and those of its dependencies that match `wanted`.

        Downloaded on the first call, found in the cache later. Raises Unavailable.
        """
        release = platform.freedesktop_os_release() if shutil.which("dpkg-deb") else {}
        system = f"{release.get('ID', '')}{release.get('VERSION_ID', '')}-{platform.machine()}"
        target = self._cache / f"{package}-{system}"
        if target.is_dir():
            return target
        if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
            raise Unavailable("it is not on this machine, and there is no apt-get to fetch it")
        if self._out_of_reach is not None:
            raise Unavailable(self._out_of_reach)
        self._cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=self._cache) as work:
            try:
                self._fetch(package, re.compile(wanted), Path(work))
                (Path(work) / "root").rename(target)
            except StartFailed as error:
                raise Unavailable(f"apt-get could not fetch {package}: {error}") from error
            except OSError:
                # Another stack was faster: a folder that is not empty is not replaced.
                if not target.is_dir():
                    raise
        return target

    def _fetch(self, package: str, wanted: re.Pattern[str], work: Path) -> None:
        self._say(f"Fetching Debian's packages of {package}, once")
        for folder in ("debs", "root", "cache/archives/partial", "state/lists/partial"):
            (work / folder).mkdir(parents=True)
        try:
            self._download(package, wanted, work, own_lists=False)
        except StartFailed:
            if self._out_of_reach is not None:
                raise
            # No package lists on this machine, or too old: get them into a folder of our own.
            for deb in (work / "debs").glob("*.deb"):
                deb.unlink()
            self._update(work)
            self._download(package, wanted, work, own_lists=True)
        packages = sorted((work / "debs").glob("*.deb"))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda deb: self._unpack(deb, work / "root"), packages))

    def _download(
        self, package: str, wanted: re.Pattern[str], work: Path, *, own_lists: bool
    ) -> None:
        install = ["-qq", "--print-uris", "--no-install-recommends", "install", package]
        plan = self._apt("apt-get install", work, *install, own_lists=own_lists)
        run(plan, 30)
        found = re.findall(r"^'\S+' ([^_\s]+)_\S+ (\d+)", plan.output(), re.MULTILINE)
        sizes = {name: int(size) for name, size in found if wanted.match(name)}
        if not sizes:
            raise StartFailed(f"{package} is installed, but where it is was not found")
        total = sum(sizes.values())
        download = self._apt(
            "apt-get download", work, "-q", "download", *sizes, own_lists=own_lists
        )
        self._watch(download, work / "debs", package, total)

    def _update(self, work: Path) -> None:
        update = self._apt("apt-get update", work, "-q", "update", own_lists=True)
        self._watch(update, work / "state", "the package lists", None)

    def _apt(self, name: str, work: Path, *arguments: str, own_lists: bool) -> Process:
        options = {
            "Dir::Cache": f"{work}/cache",
            "APT::Sandbox::User": "",
            "Debug::NoLocking": "1",
            "Acquire::Retries": "0",
            "Acquire::http::Timeout": "5",
            "Acquire::https::Timeout": "5",
            "Acquire::Languages": "none",
        }
        if own_lists:
            options |= {"Dir::State": f"{work}/state", "Dir::State::status": "/var/lib/dpkg/status"}
        flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        return Process(
            name,
            ["apt-get", *flags, *arguments],
            log=self._log,
            cwd=work / "debs",
            env={**os.environ, "LC_ALL": "C"},
        )

    def _watch(self, process: Process, folder: Path, what: str, total: int | None) -> None:
        """Run a download; say how far it is, end it when it stalls. Raises StartFailed."""
        process.start()
        began = moved = said = time.monotonic()
        before = -1
        try:
            while (code := process.poll()) is None:
                now = time.monotonic()
                size = _size(folder)
                if size != before:
                    before, moved = size, now
                elif now - moved > STALL_SECONDS or now - began > DOWNLOAD_SECONDS:
                    self._out_of_reach = "Debian's package mirror does not answer"
                    raise StartFailed(self._out_of_reach)
                if now - said > 1:
                    said = now
                    of = f" of {total / 1e6:.0f}" if total else ""
                    self._say(f"  {what}: {size / 1e6:.0f}{of} MB")
                time.sleep(0.1)
        finally:
            process.stop(1)
        if code != 0:
            raise StartFailed(process.complaint(f"failed with exit code {code}"))

    def _unpack(self, deb: Path, root: Path) -> None:
        try:
            subprocess.run(
                ["dpkg-deb", "-x", deb, root], check=True, capture_output=True, timeout=60
            )
        except subprocess.SubprocessError as error:
            raise StartFailed(f"{deb.name} cannot be unpacked: {error}") from error
        deb.unlink()


def library_path(root: Path) -> str:
    """The value of LD_LIBRARY_PATH for libraries that were unpacked below `root`."""
    folders = [*root.glob("usr/lib/*-linux-gnu*"), *root.glob("lib/*-linux-gnu*")]
    return ":".join(map(str, folders))


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # renamed meanwhile
            continue
    return total
