"""What is kept of a measurement."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from benchmarks.frame.latency import Latency
from benchmarks.frame.raw import RESULTS, latest, read, write
from benchmarks.frame.samples import Samples
from benchmarks.frame.table import table
from tests.benchmarks.invented import BEGAN, a_comparison, a_record, a_run, one_of_each


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    record = a_record(*one_of_each())
    back = read(write(record, tmp_path))
    assert back.rows == record.rows
    assert back.settings == record.settings
    assert (back.number, back.name, back.title, back.began) == (1, "invented", record.title, BEGAN)
    assert write(back, tmp_path / "again").read_text() == write(record, tmp_path).read_text()


def test_void_runs_are_kept(tmp_path: Path) -> None:
    record = a_record(a_comparison(a_run([100, 10, 100, 10], [1] * 4), a_run([1] * 4, [1] * 4)))
    [found] = read(write(record, tmp_path)).findings
    assert [bool(run.void) for run in found.runs] == [True, False]


def test_each_run_has_a_file_and_the_last_one_counts(tmp_path: Path) -> None:
    earlier, later = a_record(), replace(a_record(), began=BEGAN + timedelta(seconds=1))
    paths = {write(later, tmp_path), write(earlier, tmp_path)}
    other = a_record(name="other", number=0)
    write(other, tmp_path)
    (tmp_path / "front_door.json").write_text("{}")
    assert len(paths) == 2
    assert [(each.name, each.began) for each in latest(tmp_path)] == [
        ("other", BEGAN),
        ("invented", later.began),
    ]


def test_a_slice_has_a_line_of_its_own(tmp_path: Path) -> None:
    text = write(a_record(a_comparison(a_run([100] * 6, [70] * 6))), tmp_path).read_text()
    assert len([line for line in text.splitlines() if '"units"' in line]) == 12


def test_thousands_of_samples_are_a_file_of_some_lines(tmp_path: Path) -> None:
    samples = Samples.of_seconds(n / 1e6 for n in range(1, 20_000))
    path = write(a_record(Latency("how soon", {0.5: None}, [samples])), tmp_path)
    assert path.stat().st_size < 40_000
    assert len(path.read_text().splitlines()) < 200
    assert read(path).findings == [Latency("how soon", {0.5: None}, [samples])]


def test_what_is_kept_with_the_sources_can_be_read() -> None:
    for path in RESULTS.glob("*/*.json"):
        assert json.loads(path.read_text())["name"] == path.parent.name
        assert read(path).rows


def test_the_table_has_a_line_for_each_figure_and_says_what_is_void() -> None:
    record = a_record(*one_of_each())
    lines = "\n".join(table(record.rows))
    for row in record.rows:
        assert row.what in lines
    assert lines.count("void") == 4  # a verdict and its reason, twice
    assert "3 messages are missing" in lines
    assert "at least 0.6" in lines
    assert "not met" in lines
