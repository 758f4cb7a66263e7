"""The section about what stood under the figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.frame.raw import Record

TEXT = """\
## The machine and its settings

As they were when the line was measured that was measured last. Those of each line, and of each
arm, are in its raw data.

| | |
| --- | --- |
{rows}
"""


def section(records: list[Record]) -> str:
    last = max(records, key=lambda record: record.began)
    rows = (f"| {name} | {value} |" for name, value in _flat(last.settings))
    return TEXT.format(rows="\n".join(rows))


def _flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A setting with parts has them in one cell."""
    for name, value in settings.items():
        if isinstance(value, dict):
            yield name, ", ".join(f"{part} {own}" for part, own in value.items())
        else:
            yield name, str(value)
