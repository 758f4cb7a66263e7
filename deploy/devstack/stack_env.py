"""Files of NAME=value lines: how a running stack tells others where it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

NAMES = (
    "DATABASE_URL",
    "DATABASE_REPLICA_URL",
    "CELERY_BROKER_URL",
    "WEBHOOK_SECRETS",
    "READ_TOKENS",
    "BASE_URL",
)
"""What ``stack.env`` holds, in this order."""


def write(path: Path, values: Mapping[str, str]) -> None:
    """Write one ``NAME=value`` a line, for the owner's eyes only.

    The file appears whole or not at all: a reader that waits for it never sees half of it.

    Raises:
        ValueError: a value holds a line break, which the format cannot carry.
    """
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise ValueError(f"{name} holds a line break and cannot be written to {path}")
    half = path.with_name(f"{path.name}.new")
    half.unlink(missing_ok=True)
    descriptor = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    half.replace(path)


def read(path: Path) -> dict[str, str]:
    """The values of such a file. Raises OSError when it cannot be read."""
    pairs = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
    return {name: value for name, _, value in pairs}
