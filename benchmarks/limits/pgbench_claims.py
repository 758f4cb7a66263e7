"""The claim and the mark of the relay as pgbench runs them: what PostgreSQL leaves to be had."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from typing import Any, Self

from benchmarks.frame.arm import Slice, Void
from benchmarks.growth import rows
from benchmarks.growth.place import Place

BATCH = 500
FIRST_RATE = 15_000.0
PATIENCE_SECONDS = 120.0
MARKED = "SELECT count(*) FROM outbox_message WHERE state = 'dispatched' AND lease_token IS NULL"


class ClaimAndMark:
    """One client, prepared statements: the two that the relay sends, batch by batch."""

    name = "claim and mark by pgbench"
    unit = "dispatched row"

    def __init__(self, place: Place) -> None:
        self._place = place
        self._rate = FIRST_RATE
        self._script = place.folder / "claim_and_mark.sql"
        self.settings: Mapping[str, Any] = {"clients": 1, "batch": BATCH, "protocol": "prepared"}

    def __enter__(self) -> Self:
        self._script.write_text(script(self._place.name))
        return self

    def __exit__(self, *_: object) -> None:
        self._script.unlink()

    def run(self, seconds: float) -> Slice:
        transactions = max(1, round(self._rate * seconds / BATCH))
        number = BATCH * transactions
        self._place.empty()
        with self._place.cursor() as cursor:
            rows.ready(cursor, number, self._place.name)
        self._place.settle()
        with self._place.meter(pgbench=[os.getpid()]).turn() as turn:
            self._pgbench(transactions)
        [[marked]] = self._place.execute(MARKED)
        self._place.empty()
        if marked != number:
            raise Void(f"{marked} of {number} rows are marked")
        self._rate = number / turn.seconds
        return turn.slice(number)

    def _pgbench(self, transactions: int) -> None:
        command = ["pgbench", "-n", "-M", "prepared", "-c", "1", "-t", str(transactions)]
        command += ["-f", str(self._script), self._place.url]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
        if done.returncode:
            raise Void(f"pgbench: {done.stderr.strip()[-300:]}")


def script(queue: str) -> str:
    """The statements with their parameters written into them, but for the ids and the token."""
    from outbox import statements  # needs the settings

    claim = _filled(
        # What is claimed comes back in one row: that is how pgbench can keep it.
        re.sub(r"SELECT id, event_type.*\Z", _IN_ONE_ROW, statements.CLAIM_READY, flags=re.DOTALL),
        queues=f"ARRAY['{queue}']",
        rooms=f"ARRAY[{BATCH}]",
        marks="ARRAY['-Infinity']",
        tasks="ARRAY['app.tasks.index_post']",
        prefixes="ARRAY[]::text[]",
        lease="60",
    )
    mark = _filled(statements.MARK_DISPATCHED, ids=":ids", redispatch="300")
    lease = r"SELECT gen_random_uuid() AS fence \gset"
    return "\n".join([lease, f"{claim} \\gset", f"{mark};"]) + "\n"


_IN_ONE_ROW = "SELECT coalesce(array_agg(id), '{}') AS ids, max(due_at) FROM claimed"


def _filled(statement: str, **values: str) -> str:
    """On one line: a meta command of pgbench ends with it."""
    return " ".join((statement % {"token": ":fence::uuid", **values}).split())
