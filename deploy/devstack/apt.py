"""apt-get without root: it fetches packages into a folder of ours and installs nothing."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from deploy.devstack.process import Process, StartFailed, run

FIRST_BYTE_SECONDS = 8.0
"""From the beginning. A mirror from which nothing has come by then counts as out of reach."""

STALL_SECONDS = 20.0
"""For a download under way to go on."""

DOWNLOAD_SECONDS = 300.0


class OutOfReach(StartFailed):
    """The mirror does not answer: it makes no sense to try another package."""


class Apt:
    """One fetch. `work` is a folder for it alone; the packages come into `work / "debs"`."""

    def __init__(self, work: Path, log: Path, say: Callable[[str], None]) -> None:
        self.debs = work / "debs"
        self._work = work
        self._log = log
        self._say = say
        self._own_lists = False
        self._first_byte_by = time.monotonic() + FIRST_BYTE_SECONDS
        for folder in ("debs", "cache/archives/partial", "state/lists/partial"):
            (work / folder).mkdir(parents=True)

    def fetch(self, package: str, wanted: re.Pattern[str]) -> None:
        """Fetch `package` and what it needs and the machine has not, if its name is wanted.

        Raises OutOfReach, or StartFailed when it failed in another way.
        """
        try:
            self._download(package, wanted)
        except OutOfReach:
            raise
        except StartFailed:
            # No package lists on this machine, or too old: get them into the folder of ours.
            for deb in self.debs.glob("*.deb"):
                deb.unlink()
            self._update()
            self._download(package, wanted)

    def _download(self, package: str, wanted: re.Pattern[str]) -> None:
        plan = self._apt("install", "-qq", "--print-uris", "--no-install-recommends", package)
        run(plan, 30)
        found = re.findall(r"^'\S+' ([^_\s]+)_\S+ (\d+)", plan.output(), re.MULTILINE)
        sizes = {name: int(size) for name, size in found if wanted.match(name)}
        if not sizes:
            raise StartFailed(f"{package} is installed already, but its files were not found")
        download = self._apt("download", "-q", *sizes)
        self._watch(download, self.debs, package, sum(sizes.values()))
        # Lists that are too old name files that are gone; with another fault of the mirror, a
        # second try would only take time.
        if (code := download.poll()) != 0:
            stale = re.search(r"404|[Mm]ismatch", download.output())
            kind = StartFailed if stale else OutOfReach
            raise kind(_last_error(download) or f"apt-get failed with exit code {code}")

    def _update(self) -> None:
        self._own_lists = True
        update = self._apt("update", "-q")
        self._watch(update, self._work / "state", "package lists", None)
        # Its exit code is 0 even when nothing came.
        if not any((self._work / "state" / "lists").glob("*Packages*")):
            raise OutOfReach(_last_error(update) or "apt-get update brought no package lists")

    def _apt(self, command: str, *arguments: str) -> Process:
        options = {
            "Dir::Cache": f"{self._work}/cache",
            "APT::Sandbox::User": "",
            "Debug::NoLocking": "1",
            "Acquire::Retries": "0",
            "Acquire::http::Timeout": "5",
            "Acquire::https::Timeout": "5",
            "Acquire::Languages": "none",
        }
        if self._own_lists:
            options["Dir::State"] = f"{self._work}/state"
            options["Dir::State::lists"] = "lists"
            options["Dir::State::status"] = "/var/lib/dpkg/status"
        flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        return Process(
            f"apt-get {command}",
            ["apt-get", *flags, command, *arguments],
            log=self._log,
            cwd=self.debs,
            env={**os.environ, "LC_ALL": "C"},
        )

    def _watch(self, process: Process, folder: Path, what: str, total: int | None) -> None:
        """Run a download to its end and say how far it is. Raises OutOfReach when it stalls."""
        until = time.monotonic() + DOWNLOAD_SECONDS
        process.start()
        said = time.monotonic()
        before = _size(folder)
        try:
            while process.poll() is None:
                now = time.monotonic()
                size = _size(folder)
                # apt-get writes some bytes of its own before any come.
                if size > max(before, 2000):
                    self._first_byte_by = now + STALL_SECONDS
                before = size
                if now > min(self._first_byte_by, until):
                    raise OutOfReach("Debian's package mirror does not answer")
                if now - said > 1:
                    said = now
                    of = f" of {total / 1e6:.0f}" if total else ""
                    self._say(f"  {what}: {size / 1e6:.0f}{of} MB")
                time.sleep(0.1)
        finally:
            process.stop(1)


def _last_error(process: Process) -> str:
    lines = [line.strip() for line in process.output().splitlines()]
    errors = [line for line in lines if line.startswith(("E:", "W:"))]
    errors = [line for line in errors if "Failed to fetch" in line] or errors
    return errors[-1] if errors else ""


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                total += path.stat().st_size
        except OSError:  # renamed meanwhile
            continue
    return total
