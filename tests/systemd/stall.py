"""A stall planted in the database: every claim waits in it, alive and without progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.gate import CLAIM, closed, sessions_at
from tests.waiting import eventually


@contextmanager
def stalled_claims() -> Iterator[None]:
    """Hold every claim before its commit for as long as the block lasts."""
    CLAIM.plant()
    try:
        with closed(CLAIM.key):
            yield
    finally:
        CLAIM.remove()


def wait_for_a_stalled_claim(deadline: float = 30.0) -> None:
    """Wait until a session stands in the stall."""
    eventually(lambda: sessions_at(CLAIM.key), deadline)
