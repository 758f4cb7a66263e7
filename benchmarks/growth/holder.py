"""A transaction that stays open, so that nothing dead can be removed from its database."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from benchmarks.frame.stage import Stage


class Holder(StrEnum):
    """Who holds the horizon, as a reader calls it."""

    SNAPSHOT = "a snapshot"
    WRITER = "an idle writer"


_BEGIN = {
    Holder.SNAPSHOT: "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM app_category",
    Holder.WRITER: "BEGIN; SELECT pg_current_xact_id()",
}


class Holding:
    """Such a transaction. It is `end`ed, or ends with the block."""

    def __init__(self, stage: Stage, holder: Holder) -> None:
        self._connection = stage.connect()
        cursor = self._connection.cursor()
        cursor.execute("SET idle_in_transaction_session_timeout TO 0")
        cursor.execute(_BEGIN[holder])

    def end(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
