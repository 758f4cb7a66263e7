"""The reference of the tasks says what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from outbox.refusals import CALLS, OPTIONS
from outbox.task_options import KNOWN

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = (REPOSITORY / "docs/tasks.md").read_text()


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)


def test_every_option_is_explained() -> None:
    assert sorted(first_cells(section("Options"))) == sorted({*KNOWN, "bind"})


def test_every_system_check_is_listed() -> None:
    code = "".join(path.read_text() for path in (REPOSITORY / "outbox").glob("*checks.py"))
    assert sorted(first_cells(section("System checks"))) == sorted(
        set(re.findall(r'id="(outbox\.[EW]\d+)"', code))
    )


@pytest.mark.parametrize("name", ["delay", "apply_async", "s", "signature", "chunks"])
def test_what_the_page_calls_refused_is_refused(name: str) -> None:
    assert name in CALLS
    assert f"`{name}`" in section("What cannot work")


def test_the_page_refuses_nothing_that_is_not_refused() -> None:
    cells = re.findall(r"^\| (.+?) \| ", section("What cannot work"), re.MULTILINE)[2:]
    names = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert names - {"apply_async", "get", "ignore_result"} - CALLS.keys() - OPTIONS.keys() == set()
