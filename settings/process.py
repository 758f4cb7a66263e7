"""Which of the service's processes this one is: they differ in how they hold connections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Final, Literal

ProcessKind = Literal["web", "postprocess", "relay", "worker", "command", "secrets"]

_DJANGO: Final = frozenset({"manage.py", "django-admin"})
_LOOPS: Final[dict[str, ProcessKind]] = {"postprocess": "postprocess", "relay": "relay"}


def process_kind(argv: Sequence[str], *, pooled: bool) -> ProcessKind:
    """Tell the kind from the command line, which cannot be forgotten as a variable can.

    `pooled` is what `settings/gunicorn.py` sets before Django loads: only the web process has it.
    Everything that is none of the four (migrations, a shell, tests) is a plain command, but for
    those of `manage.py webhook` that need no database: who puts a mangled secret right needs them
    to run. A worker's forked children inherit the answer.
    """
    if pooled:
        return "web"
    program, *arguments = argv or [""]
    path = PurePath(program)
    if path.name == "celery" or path.parts[-2:] == ("celery", "__main__.py"):
        return "worker" if "worker" in arguments else "command"
    if path.name in _DJANGO:
        # Django takes its command as the first word, and options only after it.
        command, *words = arguments or [""]
        if command == "webhook" and "keys" not in words:
            return "secrets"
        return _LOOPS.get(command, "command")
    return "command"
