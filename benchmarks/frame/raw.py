"""What was measured, as JSON: one file for a line and a run, kept, void or not."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.frame.arm import Slice
from benchmarks.frame.comparison import Comparison
from benchmarks.frame.goal import Goal
from benchmarks.frame.latency import Latency
from benchmarks.frame.line import Finding
from benchmarks.frame.pairing import Run, Turn
from benchmarks.frame.quantity import Quantity
from benchmarks.frame.row import Row
from benchmarks.frame.samples import Samples

RESULTS = Path(__file__).resolve().parents[1] / "results"
WIDTH = 240
DIGITS = 6
"""Of a figure. More would be noise in every comparison of two files."""
KINDS = {"comparison": Comparison, "latency": Latency, "quantity": Quantity}


@dataclass(frozen=True, slots=True)
class Record:
    """One line, measured once."""

    number: int
    name: str
    title: str
    began: datetime
    settings: Mapping[str, Any]
    """What stood under it."""
    findings: list[Finding]

    @property
    def rows(self) -> list[Row]:
        return [row for finding in self.findings for row in finding.rows]


def write(record: Record, folder: Path = RESULTS) -> Path:
    """Keep a record beside those of earlier runs: the file."""
    path = folder / record.name / file_name(record)
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = {cls: kind for kind, cls in KINDS.items()}
    findings = [{"kind": kinds[type(each)], **asdict(each)} for each in record.findings]
    began = record.began.isoformat(timespec="seconds")
    plain = {**asdict(record), "began": began, "findings": findings}
    path.write_text(_text(plain) + "\n")
    return path


def file_name(record: Record) -> str:
    """The later, the further back in the order of names."""
    return f"{record.began:%Y-%m-%dT%H%M%SZ}.json"


def read(path: Path) -> Record:
    """A record as it was. Raises ValueError or KeyError of a file that is none."""
    plain = json.loads(path.read_text())
    findings = [_finding(each) for each in plain.pop("findings")]
    began = datetime.fromisoformat(plain.pop("began"))
    return Record(**plain, began=began.astimezone(UTC), findings=findings)


def latest(folder: Path = RESULTS) -> list[Record]:
    """The last record of each line that has any, in the order of the lines."""
    lines = [list(each.glob("*.json")) for each in folder.iterdir() if each.is_dir()]
    found = [read(max(files)) for files in lines if files]
    return sorted(found, key=lambda record: (record.number, record.name))


def _finding(plain: dict[str, Any]) -> Finding:
    kind = plain.pop("kind")
    if kind == "comparison":
        runs = [_run(each) for each in plain.pop("runs")]
        return Comparison(**plain | {"goal": _goal(plain["goal"])}, runs=runs)
    if kind == "latency":
        goals = {float(share): _goal(goal) for share, goal in plain.pop("goals").items()}
        rounds = [
            Samples({float(each): number for each, number in own["counts"].items()})
            for own in plain.pop("rounds")
        ]
        return Latency(**plain, goals=goals, rounds=rounds)
    return Quantity(**plain | {"goal": _goal(plain["goal"])})


def _run(plain: dict[str, Any]) -> Run:
    turns = [
        Turn(turn["role"], {name: Slice(**own) for name, own in turn["slices"].items()})
        for turn in plain["turns"]
    ]
    return Run(turns, plain["trouble"])


def _goal(plain: dict[str, Any] | None) -> Goal | None:
    return Goal(**plain) if plain else None


def _text(value: Any, indent: int = 0) -> str:
    """JSON with a slice a line, so that two files differ where figures do."""
    flat = json.dumps(_short(value))
    if len(flat) + indent <= WIDTH or not isinstance(value, dict | list | tuple):
        return flat
    if isinstance(value, dict):
        if all(isinstance(own, int | float) for own in value.values()):
            return _filled(flat, indent)
        brackets = "{}"
        parts = [f"{json.dumps(str(key))}: {_text(own, indent + 1)}" for key, own in value.items()]
    else:
        brackets = "[]"
        parts = [_text(own, indent + 1) for own in value]
    inner = " " * (indent + 1)
    body = ",\n".join(inner + part for part in parts)
    return f"{brackets[0]}\n{body}\n{inner[1:]}{brackets[1]}"


def _filled(flat: str, indent: int) -> str:
    """Thousands of small numbers, as many on a line as it holds."""
    inner = " " * (indent + 1)
    wrapped = textwrap.wrap(flat, WIDTH, initial_indent="", subsequent_indent=inner)
    return "\n".join(wrapped)


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {str(key): _short(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [_short(own) for own in value]
    return value
