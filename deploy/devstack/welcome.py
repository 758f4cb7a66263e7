"""The last words before a stack serves: where everything is, and how to end it."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.devstack.address import HOST


def lines(base_url: str, env: Mapping[str, str], stack_dir: Path) -> list[str]:
    """What to open, what to type, how to stop."""
    metrics = f"http://{HOST}:{env['WEB_METRICS_PORT']}/metrics"
    login = command("manage", stack_dir, "createsuperuser")
    pairs = [
        ("webhook", f"{base_url}/webhooks/posts/", "signed with a secret of stack.env"),
        ("posts", f"{base_url}/posts/", "with a token of stack.env"),
        ("health", f"{base_url}/readyz", ""),
        ("metrics", metrics, ""),
        ("admin", f"{base_url}/admin/", "make a login first:"),
        ("", login, ""),
        ("send more", command("send", stack_dir), ""),
        ("stack.env", nearby(stack_dir / "stack.env"), "addresses and secrets, while this runs"),
        ("logs", nearby(stack_dir / "logs") + os.sep, ""),
    ]
    width = max(len(value) for _, value, note in pairs if note and value.startswith(base_url))
    return [
        *(f"  {name:<10} {value:<{width}}  {note}".rstrip() for name, value, note in pairs),
        "",
        "Ctrl-C stops everything.",
    ]


def command(name: str, stack_dir: Path, *rest: str) -> str:
    """A line to copy: one of the devstack's commands for this stack."""
    where = [] if stack_dir == Path("var").resolve() else ["--stack-dir", nearby(stack_dir)]
    words = [nearby(Path(sys.executable)), "-m", "deploy.devstack", name, *where, *rest]
    return shlex.join(words)


def nearby(path: Path) -> str:
    """A path as one would type it here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
