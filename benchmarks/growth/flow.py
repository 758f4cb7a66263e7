"""Messages that come in steadily, whatever becomes of them, and are done within a second."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from benchmarks.frame.arm import Void
from benchmarks.growth import rows
from benchmarks.growth.place import Place

TURN_SECONDS = 0.02
FINISH_SECONDS = 1.0
LATEST_SECONDS = 2.0
"""Behind its time the flow is none: what it was to make old did not come."""


def flow(place: Place, queue: str, seconds: float) -> int:
    """Have `rows.FLOW` a second come in for so long, each lot at its time: how many there were.

    Workers are stood for by a statement a second. Raises Void if the lots cannot be written in
    time, or not sent.
    """
    lot = round(rows.FLOW * TURN_SECONDS)
    with contextlib.closing(place.connect()) as connection:
        cursor = connection.cursor()
        began = time.monotonic()
        finish_at = began + FINISH_SECONDS
        turns = round(seconds / TURN_SECONDS)
        for turn in range(turns):
            due = began + turn * TURN_SECONDS
            if (late := time.monotonic() - due) > LATEST_SECONDS:
                raise Void(f"the flow is {late:.0f} s late")
            time.sleep(max(0.0, -late))
            rows.ready(cursor, lot, queue)
            cursor.execute("NOTIFY outbox_ready")
            if time.monotonic() > finish_at:
                rows.finish(cursor, queue)
                finish_at += FINISH_SECONDS
        _finish_all(cursor, queue)
    return lot * turns


def _finish_all(cursor: Any, queue: str) -> None:
    """Wait until the relay has sent the last, and have it done."""
    end = time.monotonic() + LATEST_SECONDS
    while True:
        rows.finish(cursor, queue)
        cursor.execute("SELECT count(*) FROM outbox_message WHERE queue = %s", [queue])
        [[left]] = cursor.fetchall()
        if not left:
            return
        if time.monotonic() > end:
            raise Void(f"{left} messages of the flow are not sent")
        time.sleep(0.05)
