"""systemd-analyze: the machine's own, or Debian's, unpacked into the project's own folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from deploy.devstack.debian import DebianPackages, library_path

REPOSITORY = Path(__file__).resolve().parents[2]
WANTED = r"systemd$|lib"
"""Of what the package needs: the program and its libraries, no other programs."""


@dataclass(frozen=True, slots=True)
class Analyzer:
    """A program that examines unit files, without a systemd that runs."""

    program: str
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """One run, with both of its streams in `stdout`; its exit code is the caller's to judge."""
        return subprocess.run(
            [self.program, *arguments],
            cwd=cwd,
            env={**os.environ, "LC_ALL": "C", **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=50,
            check=False,
        )


def find(log: Path) -> Analyzer:
    """The installed program, or an unpacked one. Raises Unavailable, with what apt-get said."""
    installed = shutil.which("systemd-analyze")
    if installed:
        return Analyzer(installed)
    packages = DebianPackages(REPOSITORY / "var" / "cache", log, _say)
    return unpacked(packages.unpacked("systemd", WANTED))


def unpacked(root: Path) -> Analyzer:
    """The program of packages that were unpacked below `root`."""
    libraries = library_path(root).split(":")
    return Analyzer(
        str(root / "usr" / "bin" / "systemd-analyze"),
        {
            # Its own libraries lie one folder deeper than those of other packages.
            "LD_LIBRARY_PATH": ":".join([*(f"{each}/systemd" for each in libraries), *libraries]),
            # The targets that every unit depends on; the empty word stands for the usual places.
            "SYSTEMD_UNIT_PATH": f"{root}/usr/lib/systemd/system:{root}/lib/systemd/system:",
        },
    )


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
