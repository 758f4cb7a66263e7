"""How fast relays send from the head of a backlog: it is never empty while they are measured."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any, Self

from benchmarks.frame.arm import Slice, Void
from benchmarks.growth import rows
from benchmarks.growth.crew import crew
from benchmarks.growth.place import Place
from benchmarks.growth.tray import Tray
from tests.waiting import eventually

PATIENCE_SECONDS = 30.0
FASTEST = 20_000
"""Rows a second that no relay sends: with so many for each second there are always some left."""

SENT = """
SELECT count(*), extract(epoch FROM max(dispatched_at) - %(began)s)::float8
FROM outbox_message WHERE state = 'dispatched' AND lease_token IS NULL AND sends = 1
"""
ANY = "SELECT FROM outbox_message WHERE state = 'dispatched' AND lease_token IS NULL LIMIT 1"


class BacklogDrain:
    """Relays start on an empty table, get the whole backlog at once, and are stopped in mid-work.

    What they had claimed and not sent they give back, so that the broker has as many messages as
    there are rows that were sent.
    """

    unit = "dispatched row"

    def __init__(self, name: str, place: Place, tray: Tray, *, backlog: int = 0) -> None:
        self.name = name
        self.settings: Mapping[str, Any] = {"relays": 1, "backlog": backlog}
        self._place = place
        self._tray = tray
        self._backlog = backlog

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._place.empty()

    def run(self, seconds: float) -> Slice:
        self._place.empty()
        self._tray.clear()
        with contextlib.closing(self._place.connect()) as connection:
            cursor = connection.cursor()
            with crew(self._place, 1) as relays:
                cursor.execute("BEGIN")
                rows.ready(cursor, max(self._backlog, round(seconds * FASTEST)), self._tray.queue)
                meter = self._place.meter(relay=[each.pid for each in relays])
                with meter.turn() as turn:
                    cursor.execute("COMMIT")
                    cursor.execute("SELECT clock_timestamp()")
                    [[began]] = cursor.fetchall()
                    cursor.execute("NOTIFY outbox_ready")
                    time.sleep(seconds)
                    eventually(lambda: _any(cursor), PATIENCE_SECONDS)  # in a slice that is short
                memory = max(resident(each.pid) for each in relays)
            cursor.execute(SENT, {"began": began})
            [[sent, took]] = cursor.fetchall()
        if not sent or (copies := self._tray.count()) != sent:
            raise Void(f"{copies if sent else 0} messages were sent for {sent} rows")
        # The turn ended a little before the last mark: its processor time is for fewer rows.
        share = took / turn.seconds
        used = {kind: own * share for kind, own in turn.processor.items()}
        return Slice(sent, took, used, {"relay MB": memory / 1e6})


def _any(cursor: Any) -> bool:
    """Whether the first batch is marked."""
    cursor.execute(ANY)
    return bool(cursor.rowcount)


def resident(pid: int) -> int:
    """The most memory, in bytes, that a process has had resident."""
    with open(f"/proc/{pid}/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["VmHWM"].split()[0]) * 1024
