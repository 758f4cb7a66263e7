"""Writes the table of the environment's variables: ``python -m settings.document``."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from outbox.conf import OutboxSettings
from settings.variable import EVERY_PROCESS, Variable
from settings.variables import SECTIONS

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "settings.md"

_INTRODUCTION = """\
# Settings

All settings of the service are environment variables, read once at the start: a process with a
mistake in its environment says what is wrong and does not start. Each variable `NAME` may also be
given as `NAME_FILE`, the path of a file that holds the value, which is the better way for those
marked as secret. An empty variable counts as not given.

A project that installs the library alone has [`OUTBOX`](#outbox-in-a-project-of-your-own) instead.

This page is written from `settings/variables.py` and `outbox/conf.py` by
`python -m settings.document`.
"""
_LIBRARY = """\
## `OUTBOX` in a project of your own

The library reads no environment. What is to differ from these defaults stands in Django's settings,
as in `OUTBOX = {"LEASE_SECONDS": 30}`; `manage.py check` names what it does not know. The service
fills it from the variables above.

| key | default | meaning |
| --- | --- | --- |"""


def markdown() -> str:
    """Return the whole page."""
    variables = (line for name in SECTIONS for line in _section(name))
    return "\n".join([_INTRODUCTION, *variables, *_library()])


def _section(name: str) -> Iterator[str]:
    yield f"## {name}\n"
    yield "| variable | value | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for variable in SECTIONS[name]:
        value = f"{_kind(variable)}{', secret' if variable.secret else ''}"
        meaning = " ".join(filter(None, (variable.help, _required(variable))))
        yield f"| `{variable.name}` | {value} | {_default(variable)} | {meaning} |"
    yield ""


def _library() -> Iterator[str]:
    """The keys of `OUTBOX`, with the texts that stand below the fields in the code."""
    yield _LIBRARY
    [settings] = ast.parse(inspect.getsource(OutboxSettings)).body
    body: list[ast.stmt] = getattr(settings, "body", [])
    for field, text in pairwise(body):
        if isinstance(field, ast.AnnAssign) and field.value and isinstance(text, ast.Expr):
            key = ast.unparse(field.target).upper()
            default = ast.unparse(field.value).replace("()", "[]")
            meaning = inspect.cleandoc(ast.literal_eval(text.value))
            yield f"| `{key}` | `{default}` | {meaning} |"
    yield ""


def _kind(variable: Variable) -> str:
    if variable.kind == "flag":
        return "true or false"
    if variable.kind == "choice":
        return " or ".join(f"`{each}`" for each in variable.choices)
    if variable.kind != "integer":
        return variable.kind
    if variable.maximum is None:
        return f"integer, at least {variable.minimum}"
    return f"integer, {variable.minimum} to {variable.maximum}"


def _default(variable: Variable) -> str:
    return f"`{variable.default}`" if variable.default else ""


def _required(variable: Variable) -> str:
    if variable.required_by:
        return f"Required by: {_names(variable.required_by)}."
    if variable.required_in_production_by:
        return f"In production required by: {_names(variable.required_in_production_by)}."
    return ""


def _names(processes: frozenset[str]) -> str:
    return "every process" if processes == EVERY_PROCESS else ", ".join(sorted(processes))


if __name__ == "__main__":
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(markdown())
    sys.stdout.write(f"{DOCUMENT} written\n")
