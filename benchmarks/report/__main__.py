"""Write the page about performance from what was measured: `make bench-report`."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.frame.raw import RESULTS, latest
from benchmarks.report.files import files, stale

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> int:
    written = files(latest(RESULTS), RESULTS)
    for path in stale(DOCS, written):
        path.unlink()
    for name, text in written.items():
        (DOCS / name).write_text(text)
        sys.stdout.write(f"docs/{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
