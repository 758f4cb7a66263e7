"""What the documentation says of the code is so."""

from __future__ import annotations

import re
from pathlib import Path

from outbox import store
from outbox.states import MOVES, State

REPOSITORY = Path(__file__).resolve().parents[1]


def rows(page: str, columns: int) -> list[list[str]]:
    """The cells of every table row with so many columns."""
    text = (REPOSITORY / page).read_text()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [row for row in cells if len(row) == columns]


def test_the_page_of_the_state_machine_has_the_moves_of_the_code() -> None:
    told = [
        [re.findall(r"`(\w+)`", cell) for cell in row] for row in rows("docs/state-machine.md", 3)
    ]
    moves = [(source[0], target[0]) for source, target, by in told if source and target and by]
    assert sorted(moves) == sorted((source.value, target.value) for source, target in MOVES)


def test_the_page_of_the_state_machine_names_verbs_of_the_store() -> None:
    told = [re.findall(r"`(\w+)`", row[2]) for row in rows("docs/state-machine.md", 3)]
    verbs = {verb for found in told for verb in found}
    assert verbs
    assert [verb for verb in verbs if not callable(getattr(store, verb, None))] == []


def test_the_page_of_the_state_machine_explains_every_state() -> None:
    text = (REPOSITORY / "docs/state-machine.md").read_text()
    assert [state for state in State if f"| `{state.value}` |" not in text] == []


def test_every_file_that_the_readme_names_exists() -> None:
    text = (REPOSITORY / "README.md").read_text()
    named = set(re.findall(r"\b((?:app|outbox|relay|tests|docs|deploy)/[\w/.-]*\w)", text))
    assert len(named) > 15
    assert [path for path in named if not (REPOSITORY / path).exists()] == []
