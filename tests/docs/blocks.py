"""The code blocks of a page, each with what the page says about it.

A reader is told in words what to do with a block, and the words are what is read here:

- "`shop/tasks.py`:" before a block, in any language but the next two: it is that file. "At the end
  of `config/settings.py`:" adds it to the file instead.
- A block in `sh`: commands. "... in a terminal of its own:" before it: each line is a process that
  stays. "... until it says so:" before it: run again until it prints the block that follows.
- A block in `text`: what the commands just before it print. `...` stands for anything in a line,
  or for any lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Literal

Kind = Literal["file", "addition", "commands", "processes", "output", "other"]

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*([^`]*?)\s*$")
_PATH = re.compile(r"`([\w./-]+\.\w+)`:$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `lead` is the paragraph before it, empty right after another block."""

    page: str
    line: int
    language: str
    text: str
    lead: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def path(self) -> str | None:
        """The file that the block is. Commands are none, whatever they are said to make."""
        found = _PATH.search(self.lead)
        return found[1] if found and self.language not in {"sh", "text"} else None

    @property
    def kind(self) -> Kind:
        """What to do with it."""
        if self.language == "sh":
            return "processes" if "in a terminal of its own" in self.lead.lower() else "commands"
        if self.language == "text":
            return "output"
        if self.path is None:
            return "other"
        return "addition" if "at the end of" in self.lead.lower() else "file"

    @property
    def repeated(self) -> bool:
        """Whether the reader is to run it again until it prints what follows."""
        return self.kind == "commands" and " until " in self.lead


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a Markdown page, in order. Raises ValueError for one without an end."""
    return list(_blocks(page.name, page.read_text().splitlines()))


def _blocks(page: str, lines: list[str]) -> Iterator[Block]:
    paragraph: list[str] = []
    blank = False
    opening: tuple[int, str, str] | None = None
    body: list[str] = []
    for number, line in enumerate(lines, 1):
        if opening is not None:
            if line.strip() == opening[1]:
                lead = " ".join(paragraph)
                text = dedent("\n".join([*body, ""]))
                yield Block(page, opening[0], opening[2], text, lead)
                opening, paragraph, body = None, [], []
            else:
                body.append(line)
        elif fence := _FENCE.match(line):
            opening = (number, fence[1], fence[2])
        elif not line.strip():
            blank = True
        else:
            paragraph = [line.strip()] if blank else [*paragraph, line.strip()]
            blank = False
    if opening is not None:
        raise ValueError(f"{page}:{opening[0]}: the block has no end")


def prints(expected: str, output: str) -> bool:
    """Whether `output` has the lines of a block in `text`, one after the other.

    Spaces and empty lines count for nothing.
    """
    pattern = r"\n"
    for line in filter(str.strip, expected.splitlines()):
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            words = re.escape(" ".join(line.split())).replace(r"\.\.\.", ".*")
            pattern += words + r"\n"
    told = "\n".join(" ".join(line.split()) for line in output.splitlines() if line.strip())
    return re.search(pattern, f"\n{told}\n") is not None
