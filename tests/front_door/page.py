"""The rows of the front door's page: what is sent, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

PAGE = Path(__file__).resolve().parents[2] / "docs" / "front-door.md"
COLUMNS = ["case", "what is sent", "answer", "problem", "then", "rows"]

Step = tuple[str, str]
"""What is done, and with which text; some things are done without one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comes of a row. `rows` counts those of ledger, Posts, messages and conflicts."""

    answers: str
    problem: tuple[str, ...]
    """The last part of its type, and the pointers of its faults."""
    then: str
    rows: str


@dataclass(frozen=True, slots=True)
class Row:
    section: str
    name: str
    steps: tuple[Step, ...]
    outcome: Outcome

    @property
    def waits(self) -> bool:
        """Whether the caller does not go on, so that the server has to end it."""
        return any(verb in ("wait", "drip") for verb, _ in self.steps)


@cache
def tokens() -> list[Token]:
    return MarkdownIt().enable("table").parse(PAGE.read_text())


def block(number: int) -> str:
    """The text of one of the page's code blocks."""
    return [token.content for token in tokens() if token.type == "fence"][number]


@cache
def rows() -> tuple[Row, ...]:
    """Every row of the tables that tell cases."""
    return tuple(row for section, cells in _tables() for row in [_row(section, cells)])


def _tables() -> Iterator[tuple[str, list[Token]]]:
    section, cells, wanted = "", list[Token](), False
    for before, token in zip([None, *tokens()], tokens(), strict=False):
        if token.type == "inline" and before and before.type == "heading_open":
            section = token.content
        elif token.type == "tr_open":
            cells = []
        elif token.type == "inline":
            cells.append(token)
        elif token.type == "thead_close":
            wanted = [cell.content for cell in cells] == COLUMNS
        elif token.type == "tr_close" and wanted and [c.content for c in cells] != COLUMNS:
            yield section, cells


def _row(section: str, cells: list[Token]) -> Row:
    name, sent, answers, problem, then, written = cells
    spans = tuple(child.content for child in problem.children or () if child.type == "code_inline")
    outcome = Outcome(answers.content, spans, then.content, written.content)
    return Row(section, name.content, tuple(_steps(sent)), outcome)


def _steps(cell: Token) -> Iterator[Step]:
    """The cell's words in turn with its code: each word says what is done with the code behind."""
    verb = ""
    for child in cell.children or ():
        if child.type == "code_inline":
            yield verb, child.content
            continue
        *alone, last = [each.strip() for each in re.split("[,;]", child.content)]
        yield from ((each, "") for each in alone if each)
        verb = verb if last == "and" else last
    if child.type != "code_inline" and verb:
        yield verb, ""
