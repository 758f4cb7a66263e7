"""Waits of the tests: on a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

INTERVAL_SECONDS = 0.01


def eventually(condition: Callable[[], T], deadline: float = 10.0) -> T:
    """Wait until `condition` gives something true, and return it.

    Fails the test after `deadline` seconds, saying what the condition gave last.
    """
    end = time.monotonic() + deadline
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not true within {deadline} s; the last answer: {result!r}")
        time.sleep(INTERVAL_SECONDS)
    return result
