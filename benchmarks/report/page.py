"""The page, docs/performance.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from benchmarks.frame.goal import MET, MISSED, VOID
from benchmarks.frame.raw import Record, file_name
from benchmarks.frame.row import Row
from benchmarks.frame.table import figure, processor
from benchmarks.report import front_door, ground

HEAD = """\
# What it costs, and how fast it is

This page is written by `make bench-report` from the raw data in `benchmarks/results/` and the
notes beside them, and from nothing else; a test compares the two. `make bench` measures anew,
`make bench-peers` installs other outboxes and queues, each into an environment of its own, and
measures beside them. Figures of one machine say little about another: what is judged are ratios,
taken in one run on the same machine.
"""

HOW = """\
## How it is measured

- A subject and its limit, or a peer, work in turn: limit, subject, subject, limit, and again.
  Each slice of the subject is divided by the mean of the limit's slices before and after it. The
  figure is the median of these ratios; beside it stand its 95 % interval (bootstrap) and the
  least and the most.
- If the limit itself varies by more than 10 % (its coefficient of variation), or if what came out
  is not what went in, the run is void. It is repeated up to three times. What is still void is
  shown as void.
- Processor time is that of all processes of a kind, those that have ended among them, in
  microseconds for one unit of work. It varies less than rates do from machine to machine.
- Latency is measured under a load that does not wait for answers, and counted from when a request
  was due, not from when it could be sent. Percentiles come from all samples.
- PostgreSQL is durable throughout (`fsync`, `synchronous_commit` and `full_page_writes` are on),
  and RabbitMQ confirms what it is sent.
"""

NOTES = "notes.md"
TITLES = {MET: "met", MISSED: "not met", VOID: "void", "": ""}


def page(records: list[Record], results: Path, plots: Collection[str]) -> str:
    """Lines that were never measured are left out."""
    parts = [HEAD]
    if records:
        parts += [HOW, "\n".join(_judged(records, plots))]
        parts += ["\n".join(_line(record, results, plots)) for record in records]
        parts += _notes(results)
    parts += [front_door.section(results / "front_door.json")]
    if records:
        parts.append(ground.section(records))
    return "\n".join(parts)


def _judged(records: list[Record], plots: Collection[str]) -> Iterator[str]:
    rows = [(record, row) for record in records for row in record.rows if row.goal]
    if not rows:
        return
    counted = Counter(row.verdict for _, row in rows)
    told = ", ".join(f"{number} {TITLES[verdict]}" for verdict, number in counted.items())
    yield f"## The goals\n\nOf {len(rows)} figures with a goal: {told}.\n"
    yield "| | what | goal | median | 95 % | |\n| --- | --- | --- | --- | --- | --- |"
    for record, row in rows:
        yield _joined([str(record.number), *_cells(row)])
    yield ""
    yield from _picture("goals", "Each figure beside its goal", plots)


def _line(record: Record, results: Path, plots: Collection[str]) -> Iterator[str]:
    title = record.title[0].upper() + record.title[1:]
    yield f"## {title}\n\n| what | goal | median | 95 % | | least | most |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for row in record.rows:
        ends = [figure(row.spread.least), figure(row.spread.most)] if row.spread else ["", ""]
        yield _joined([*_cells(row), *ends])
    yield ""
    compared = [row for row in record.rows if row.rates]
    if compared:
        yield "| what | arm | a second | us of processor a unit |\n| --- | --- | --- | --- |"
        for row in compared:
            for arm, rate in row.rates.items():
                used = processor(row.microseconds.get(arm, {}))
                yield _joined([_plain(row.what), _plain(arm), figure(rate), used])
        yield ""
    for row in record.rows:
        if row.void:
            yield f"Void: {_plain(row.what)}, because {_plain(row.void)}.\n"
    yield from _picture(record.name, f"{title}: units a second", plots)
    yield from _picture(f"{record.name}-latency", f"{title}: latencies by percentile", plots)
    yield from _notes(results / record.name)
    raw = f"benchmarks/results/{record.name}/{file_name(record)}"
    yield f"Measured on {record.began:%-d %B %Y}, with the settings of each arm: `{raw}`.\n"


def _cells(row: Row) -> list[str]:
    """What, goal, median, interval and verdict."""
    start = [_plain(row.what), str(row.goal) if row.goal else ""]
    if (found := row.spread) is None:
        return [*start, "", "", row.verdict]
    interval = f"{figure(found.low)} to {figure(found.high)}"
    return [*start, f"{figure(found.median)} {row.unit}", interval, row.verdict]


def _joined(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _notes(folder: Path) -> Iterator[str]:
    """What somebody has found out about figures, and figures do not say: why one is missed."""
    if (path := folder / NOTES).exists():
        yield path.read_text()


def _picture(name: str, words: str, plots: Collection[str]) -> Iterator[str]:
    address = f"_static/performance-{name}.svg"
    if address in plots:
        yield f"![{words}]({address})\n"


def _plain(words: str) -> str:
    """In a cell of a table."""
    return " ".join(words.replace("|", "/").split())
