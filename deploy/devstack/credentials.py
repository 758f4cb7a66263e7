"""The secrets of a stack: made once, kept beside its data, readable by their owner alone."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.devstack import stack_env

_MAKERS: Mapping[str, Callable[[], str]] = {
    "DJANGO_SECRET_KEY": lambda: secrets.token_urlsafe(48),
    # Standard Webhooks: a symmetric secret is "whsec_" and the base64 of 24 to 64 random bytes.
    "WEBHOOK_SECRETS": lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode(),
    "READ_TOKENS": lambda: secrets.token_urlsafe(32),
}


def load(path: Path, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The secrets of the stack by the names of their environment variables.

    A value given in the environment, or in the file that ``NAME_FILE`` names, comes first; what is
    not given is read from ``path``, and made and stored there the first time.

    Raises:
        OSError: a file that was named cannot be read, or ``path`` cannot be written.
    """
    stored = stack_env.read(path) if path.exists() else {}
    made = {name: stored.get(name) or make() for name, make in _MAKERS.items()}
    if made != stored:
        stack_env.write(path, made)
    return {name: _given(name, given) or value for name, value in made.items()}


def _given(name: str, given: Mapping[str, str]) -> str | None:
    if value := given.get(name, "").strip():
        return value
    if file_name := given.get(f"{name}_FILE"):
        return Path(file_name).read_text().strip()
    return None
