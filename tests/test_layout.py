"""Files and functions stay small enough to be read in one go."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PRODUCT = ("app", "benchmarks", "deploy", "outbox", "relay", "settings")
LONGEST_FILE, LONGEST_FUNCTION = 250, 40

TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))
FILES = [
    path
    for folder in PRODUCT
    for path in sorted((REPOSITORY / folder).rglob("*.py"))
    if "migrations" not in path.parts
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_file_and_its_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    lengths = {each.name: (each.end_lineno or 0) - each.lineno + 1 for each in functions}
    assert {name for name, length in lengths.items() if length > LONGEST_FUNCTION} == set()


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_file_of_tests_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
