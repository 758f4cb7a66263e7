"""How fast relays send what is ready: an arm for any state that the database has grown into."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, Self

from benchmarks.frame.arm import Slice, Void
from benchmarks.growth import rows
from benchmarks.growth.place import Place
from benchmarks.growth.tray import Tray
from deploy.devstack.process import Process
from tests.waiting import eventually

ROWS_PER_SECOND = 8_000
"""For a slice of a second so many are sent: it then takes about that."""
PATIENCE_SECONDS = 60.0

# All that was sent is marked, once each: who claimed it twice would have counted it twice.
MARKED = """
SELECT count(*) FILTER (WHERE lease_token IS NULL AND sends = 1),
       extract(epoch FROM max(dispatched_at) - %(began)s)::float8
FROM outbox_message WHERE queue = %(queue)s AND state = 'dispatched'
"""


class Drain:
    """Relays that wait for work get some thousand messages at once; the last mark ends the slice.

    They run before and after it too: whoever measures has started them. What was sent is done
    after each slice, by one statement that stands for the workers.
    """

    unit = "dispatched row"

    def __init__(self, name: str, place: Place, relays: Sequence[Process], tray: Tray) -> None:
        self.name = name
        self.settings: Mapping[str, Any] = {
            "relays": len(relays),
            "rows": f"{ROWS_PER_SECOND} for each second of a slice",
        }
        self._place = place
        self._relays = relays
        self._tray = tray

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The relays stay."""

    def run(self, seconds: float) -> Slice:
        number = max(1, round(seconds * ROWS_PER_SECOND))
        with contextlib.closing(self._place.connect()) as connection:
            cursor = connection.cursor()
            self._tray.clear()
            cursor.execute("BEGIN")
            rows.ready(cursor, number, self._tray.queue)
            meter = self._place.meter(relay=[each.pid for each in self._relays])
            with meter.turn() as turn:
                cursor.execute("COMMIT")
                cursor.execute("SELECT clock_timestamp()")
                [[began]] = cursor.fetchall()
                cursor.execute("NOTIFY outbox_ready")
                try:
                    self._tray.wait_for(number, PATIENCE_SECONDS)
                except Void as error:
                    raise Void(self._relays[0].complaint(f"fails: {error}")) from error
            took = self._marked(cursor, number, began)
            if (copies := self._tray.count()) != number:
                raise Void(f"{copies} messages were sent for {number} rows")
            rows.finish(cursor, self._tray.queue)
        return Slice(number, took, turn.processor, {"seconds until sent": turn.seconds})

    def _marked(self, cursor: Any, number: int, began: Any) -> float:
        """Seconds from the commit to the last mark, once all are marked."""

        def ask() -> float | None:
            cursor.execute(MARKED, {"began": began, "queue": self._tray.queue})
            [[marked, seconds]] = cursor.fetchall()
            return float(seconds) if marked == number else None

        try:
            return eventually(ask, PATIENCE_SECONDS) or 0.0
        except AssertionError as error:
            told = self._relays[0].complaint(f"has not marked all of {number} rows, each sent once")
            raise Void(told) from error
