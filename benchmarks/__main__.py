"""Measure the promises of speed: `make bench`.

Needs the servers of `python -m deploy.devstack exec`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import judged
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.machine import settings, stolen, unlike
from benchmarks.frame.options import FULL, QUICK, Options
from benchmarks.frame.quantity import Quantity
from benchmarks.frame.raw import RESULTS, Record, write
from benchmarks.frame.stage import NoServers, Stage, set_up, stage
from benchmarks.frame.table import table
from deploy.devstack.console import Console


def main() -> int:
    """0 when all was measured, whatever was found; 2 when nothing could be."""
    options = _arguments()
    console = Console()
    if options.quick:
        os.environ["WEB_CONCURRENCY"] = "1"  # a start of the web process is one of each worker
    try:
        set_up()
        lines = list(_chosen(options.only, peers=options.peers))
        if not lines:
            console.line(f"no line of that name; there are {', '.join(_names())}")
            return 2
        with stage() as where:
            how = QUICK if options.quick else Options(pairs=options.pairs, seconds=options.seconds)
            results = options.results or (where.folder if how.quick else RESULTS)
            run(lines, where, how, console, results)
    except NoServers as error:
        console.line(str(error))
        return 2
    return 0


def run(lines: list[Line], where: Stage, how: Options, console: Console, results: Path) -> None:
    """Measure them one after the other, keep each when it is done, print all at the end."""
    rows: list[str] = []
    for line in lines:
        console.say(f"{line.number}: {line.title}")
        with console.step(line.name):
            record = measure(line, where, how, console)
        path = write(record, results)
        if not how.quick:
            console.say(f"kept in {os.path.relpath(path)}")
        rows += ["", f"{line.number}  {line.title}", *table(record.rows)]
    console.lines(rows)


def measure(line: Line, where: Stage, how: Options, console: Console) -> Record:
    """One line, on an empty database."""
    found = {**settings(where), "options": asdict(how)}
    for complaint in () if how.quick else unlike(found):
        console.say(complaint)
    began, before = datetime.now(UTC), stolen()
    findings: list[Finding] = []
    where.empty()
    try:
        for finding in line.measure(where, how, console.say):
            findings.append(finding)
            if how.quick and not line.peers:
                _insist(finding)
            where.empty()
    except Exception as error:
        if how.quick:
            raise
        # Hours of measuring are not lost to one line that broke.
        console.lines(traceback.format_exception(error))
        findings.append(Quantity(f"{line.name}, the rest", "", [], void=f"it broke off: {error!r}"))
    seconds = (datetime.now(UTC) - began).total_seconds()
    found["machine"] |= {
        "load average after": round(os.getloadavg()[0], 2),
        "stolen": round((stolen() - before) / seconds / (os.cpu_count() or 1), 4),
    }
    return Record(line.number, line.name, line.title, began, found, findings)


def _insist(finding: Finding) -> None:
    """No figure is kept of the quick form, and so none may be void: what came out had gone in."""
    for row in finding.rows:
        if row.void:
            raise RuntimeError(f"{row.what}: {row.void}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="of a line; may be again")
    parser.add_argument("--quick", action="store_true", help="see that it works, judge nothing")
    parser.add_argument("--peers", action="store_true", help="those that need peers installed")
    parser.add_argument("--pairs", type=int, default=FULL.pairs, help="of slices, even (6)")
    parser.add_argument("--seconds", type=float, default=FULL.seconds, help="of a slice (10)")
    parser.add_argument("--results", type=Path, metavar="DIR", help="for the raw data")
    return parser.parse_args()


def _chosen(only: list[str] | None, *, peers: bool) -> Iterator[Line]:
    """Those named, or all that need no peers, or all that do."""
    for line in all_lines():
        if line.name in only if only else line.peers == peers:
            yield line


def all_lines() -> list[Line]:
    """One for each module in benchmarks/judged/, in their order."""
    modules = [
        importlib.import_module(f"{judged.__name__}.{found.name}")
        for found in pkgutil.iter_modules(judged.__path__)
    ]
    lines: list[Line] = [own for module in modules if (own := getattr(module, "LINE", None))]
    return sorted(lines, key=lambda line: (line.number, line.name))


def _names() -> list[str]:
    return [line.name for line in all_lines()]


if __name__ == "__main__":
    sys.exit(main())
