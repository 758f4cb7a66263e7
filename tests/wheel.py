"""The wheel of the library, built as `make wheel` builds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
BUILD_SECONDS = 200


def build(folder: Path) -> Path:
    """Build the wheel into a folder. It takes some seconds, and a package index for hatchling."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), "."],
        cwd=REPOSITORY,
        check=True,
        timeout=BUILD_SECONDS,
    )
    [wheel] = folder.glob("pillarbox-*.whl")
    return wheel
