"""What `make bench` does with its lines."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import benchmarks.__main__ as command
from benchmarks.frame.line import Finding, Line
from benchmarks.frame.options import FULL, QUICK
from benchmarks.frame.quantity import Quantity
from benchmarks.frame.raw import latest
from deploy.devstack.console import Console
from tests.benchmarks.invented import SETTINGS


class Emptied:
    """A stage that is emptied, and else does nothing."""

    def __init__(self) -> None:
        self.times = 0

    def empty(self) -> None:
        self.times += 1


@pytest.fixture
def where(monkeypatch: pytest.MonkeyPatch) -> Emptied:
    found: dict[str, Any] = {**SETTINGS, "machine": {}, "postgres": {}}
    monkeypatch.setattr(command, "settings", lambda _: found)
    monkeypatch.setattr(command, "unlike", lambda _: ["fsync is off"])
    return Emptied()


def two(*_: Any) -> Iterator[Finding]:
    yield Quantity("first", "ms", [1.0])
    yield Quantity("second", "ms", [2.0])


def broken(*_: Any) -> Iterator[Finding]:
    yield Quantity("first", "ms", [1.0])
    raise RuntimeError("the relay is gone")


def void(*_: Any) -> Iterator[Finding]:
    yield Quantity("first", "ms", [1.0])
    yield Quantity("second", "ms", [2.0], void="2 are missing")


VOID = Line(3, "void", "a figure that says nothing", void)
TWO = Line(1, "two", "two figures", two)
BROKEN = Line(2, "broken", "half of two figures", broken)


def test_each_line_is_kept_and_printed(where: Any, tmp_path: Path) -> None:
    told = io.StringIO()
    command.run([TWO], where, FULL, Console(told), tmp_path)
    [record] = latest(tmp_path)
    assert [row.what for row in record.rows] == ["first", "second"]
    assert record.settings["options"]["pairs"] == FULL.pairs
    assert record.settings["machine"].keys() >= {"load average after", "stolen"}
    assert "1  two figures" in told.getvalue()
    assert "fsync is off" in told.getvalue()


def test_every_figure_is_measured_on_empty_tables(where: Any, tmp_path: Path) -> None:
    command.run([TWO], where, FULL, Console(io.StringIO()), tmp_path)
    assert where.times == 3


def test_a_line_that_breaks_off_keeps_what_it_has_and_stops_no_other(
    where: Any, tmp_path: Path
) -> None:
    told = io.StringIO()
    command.run([BROKEN, TWO], where, FULL, Console(told), tmp_path)
    two, broken = latest(tmp_path)
    assert [row.verdict for row in two.rows] == ["", ""]
    assert [(row.what, row.void) for row in broken.rows] == [
        ("first", ""),
        ("broken, the rest", "it broke off: RuntimeError('the relay is gone')"),
    ]
    assert "Traceback" in told.getvalue()


def test_the_quick_form_fails_where_a_line_breaks(where: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the relay is gone"):
        command.run([BROKEN], where, QUICK, Console(io.StringIO()), tmp_path)


def test_the_quick_form_fails_where_what_came_out_had_not_gone_in(
    where: Any, tmp_path: Path
) -> None:
    with pytest.raises(RuntimeError, match="second: 2 are missing"):
        command.run([VOID], where, QUICK, Console(io.StringIO()), tmp_path)
    command.run([VOID], where, FULL, Console(io.StringIO()), tmp_path)
    command.run([replace(VOID, peers=True)], where, QUICK, Console(io.StringIO()), tmp_path)


@pytest.mark.parametrize(
    ("only", "peers", "chosen"),
    [
        (None, False, ["two"]),
        (None, True, ["beside"]),
        (["beside"], False, ["beside"]),
        (["nobody"], False, []),
    ],
)
def test_lines_are_chosen_by_name_or_by_what_they_need(
    monkeypatch: pytest.MonkeyPatch, only: list[str] | None, peers: bool, chosen: list[str]
) -> None:
    beside = Line(3, "beside", "beside others", two, peers=True)
    monkeypatch.setattr(command, "all_lines", lambda: [TWO, beside])
    assert [line.name for line in command._chosen(only, peers=peers)] == chosen
