"""When a peer first asks the database for work."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class FirstStatement:
    """Goes around the statements of a Django connection (`execute_wrapper`)."""

    def __init__(self) -> None:
        self._at: float | None = None

    def __call__(self, execute: Callable[..., Any], *call: Any) -> Any:
        if self._at is None:
            self._at = time.monotonic()
        return execute(*call)

    def seconds_since(self) -> float:
        """Raises RuntimeError when there was none."""
        if self._at is None:
            raise RuntimeError("The peer ended without a single statement: it found no work")
        return time.monotonic() - self._at
