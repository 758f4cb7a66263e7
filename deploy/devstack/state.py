"""What a stack remembers from start to start: its ports, its passwords and its names."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

from deploy.devstack.ports import free_port, is_free


class State:
    """A JSON file that its owner alone may read. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._values: dict[str, str] = {}
        if path.exists():
            self._values = json.loads(path.read_text())

    def port(self, name: str) -> int:
        """The port used before if it is free now, else a free one."""
        with self._lock:
            before = self._values.get(f"{name}_port")
            if before is not None and is_free(int(before)):
                return int(before)
            taken = {int(v) for k, v in self._values.items() if k.endswith("_port")}
            port = free_port(taken)
            self._remember(f"{name}_port", str(port))
            return port

    def password(self, name: str) -> str:
        return self._once(f"{name}_password", lambda: secrets.token_hex(16))

    def name(self, prefix: str) -> str:
        """A name of this stack's own: `prefix-` and eight hexadecimal digits."""
        return self._once(f"{prefix}_name", lambda: f"{prefix}-{secrets.token_hex(4)}")

    def _once(self, key: str, make: Callable[[], str]) -> str:
        with self._lock:
            if key not in self._values:
                self._remember(key, make())
            return self._values[key]

    def _remember(self, key: str, value: str) -> None:
        self._values[key] = value
        draft = self._path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(self._values, file, indent=1)
        # Renamed into place: a kill in between must not lose the password of existing data.
        draft.replace(self._path)
