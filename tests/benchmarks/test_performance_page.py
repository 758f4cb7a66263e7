"""docs/performance.md is what the raw data gives."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.frame.raw import RESULTS, latest
from benchmarks.report.__main__ import DOCS
from benchmarks.report.drawing import WIDTH
from benchmarks.report.files import files, stale
from tests.benchmarks.invented import a_comparison, a_record, a_run, one_of_each


@cache
def invented() -> dict[str, str]:
    return files([a_record(*one_of_each())], RESULTS)


def test_the_page_and_its_plots_are_what_the_raw_data_gives() -> None:
    """If this fails, run `make bench-report`."""
    written = files(latest(RESULTS), RESULTS)
    assert {name: (DOCS / name).read_text() for name in written} == written
    assert stale(DOCS, written) == []


def test_every_figure_is_on_the_page_void_and_missed_ones_too() -> None:
    page = invented()["performance.md"]
    cells = [line.split(" | ") for line in page.splitlines() if line.startswith("| ")]
    verdicts = {line[0].removeprefix("| "): line[4] for line in cells if len(line) == 7}
    assert verdicts["how soon, p50"] == "met"
    assert verdicts["how soon, p99"] == "not met"
    assert verdicts["memory"] == "void"
    assert "Void: memory, because the relay ended." in page
    assert "Void: ours / bare, because 3 messages are missing." in page
    assert "Of 4 figures with a goal: 3 met, 1 not met." in page


def test_rates_and_processor_time_are_told_by_arm() -> None:
    page = invented()["performance.md"]
    assert "| ours / bare | ours | 70 | web 7,143, postgres 2,857 |" in page
    assert "| ours / bare | bare | 100 | web 5,000, postgres 2,000 |" in page


def test_other_raw_data_make_another_page() -> None:
    """Or the test that compares them could not fail."""
    one, other = (
        files([a_record(a_comparison(a_run([100] * 4, [rate] * 4)))], RESULTS) for rate in (70, 71)
    )
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] == other[name]] == []


def test_lines_that_were_never_measured_are_left_out(tmp_path: Path) -> None:
    assert list(files([], tmp_path)) == ["performance.md"]
    assert "## " not in files([], tmp_path)["performance.md"]


def test_notes_stand_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "invented").mkdir()
    (tmp_path / "invented/notes.md").write_text("The broker is the bound.\n")
    (tmp_path / "notes.md").write_text("## Left out\n\nPrepared statements.\n")
    page = files([a_record(*one_of_each())], tmp_path)["performance.md"]
    parts = ["## Ours against nothing", "The broker is the bound.", "Measured on", "## Left out"]
    places = [page.index(part) for part in parts]
    assert places == sorted(places)


def test_plots_of_lines_that_are_gone_are_found(tmp_path: Path) -> None:
    (tmp_path / "_static").mkdir()
    for name in ("performance-old.svg", "performance-goals.svg", "flow.svg"):
        (tmp_path / "_static" / name).touch()
    assert [path.name for path in stale(tmp_path, invented())] == ["performance-old.svg"]


@pytest.mark.parametrize("name", sorted(name for name in invented() if name.endswith(".svg")))
def test_a_plot_is_whole_and_fetches_nothing(name: str) -> None:
    text = invented()[name]
    drawing = ET.fromstring(text)
    assert float(drawing.attrib["height"]) > 50
    assert "prefers-color-scheme: dark" in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    used = set(re.findall(r'class="([^"]+)"', text))
    assert [look for look in used if text.count(f".{look} {{") != 2 and look != "goal"] == []


def test_there_is_a_plot_of_goals_of_rates_and_of_latencies() -> None:
    assert [name for name in invented() if name.endswith(".svg")] == [
        "_static/performance-goals.svg",
        "_static/performance-invented.svg",
        "_static/performance-invented-latency.svg",
    ]
    page = invented()["performance.md"]
    assert all(name in page for name in invented() if name.endswith(".svg"))


def test_bars_are_as_long_as_their_rates_and_fit_the_plot() -> None:
    written = files([a_record(a_comparison(a_run([100] * 4, [70] * 4)))], RESULTS)
    drawing = ET.fromstring(written["_static/performance-invented.svg"])
    bars = {each.get("class"): each for each in drawing.iter() if each.tag.endswith("rect")}
    lengths = {look: float(bars[look].attrib["width"]) for look in ("ours", "bar")}
    assert lengths["ours"] / lengths["bar"] == pytest.approx(0.7, abs=0.01)
    ends = [float(each.attrib["cx"]) for each in drawing.iter() if each.tag.endswith("circle")]
    assert len(ends) == 8
    assert WIDTH * 0.8 < max(ends) < WIDTH - 60
