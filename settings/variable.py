"""What is declared of an environment variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["text", "url", "integer", "flag", "words", "choice"]


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable, as it is written, checked and documented."""

    name: str
    kind: Kind
    help: str
    default: str = ""
    """As it would be written in the environment; empty: none."""
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    """All the values of a choice."""
    secret: bool = False
    """Its value is never printed, and is better given as a file: `<name>_FILE`."""
    required_by: frozenset[str] = frozenset()
    """Kinds of process (`settings/process.py`) that do not start without it."""
    required_in_production_by: frozenset[str] = frozenset()


EVERY_PROCESS: Final = frozenset({"web", "postprocess", "relay", "worker", "command"})
"""That works with the database."""
WEB: Final = frozenset({"web"})


def seconds(name: str, default: int, help: str, maximum: int = 86_400) -> Variable:  # noqa: A002
    return Variable(name, "integer", help, str(default), minimum=1, maximum=maximum)


def count(
    name: str,
    default: int,
    help: str,  # noqa: A002 - the field's own name
    *,
    maximum: int | None = None,
) -> Variable:
    return Variable(name, "integer", help, str(default), minimum=1, maximum=maximum)


def choice(name: str, choices: tuple[str, ...], help: str, *, default: str) -> Variable:  # noqa: A002
    return Variable(name, "choice", help, default, choices=choices)
