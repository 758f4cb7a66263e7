"""Which pages there are, and what runs the code on each."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"

PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md")])
"""Every page for people, those of the repository's first level among them."""

CODE = frozenset({"python", "py", "bash", "sh", "shell", "console", "sql", "toml", "ini"})
"""The languages of blocks that somebody would copy and run."""
