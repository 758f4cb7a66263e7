"""The history's partitions: made ahead, dropped when their retention is over."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

from django.db import Error
from psycopg2 import errorcodes

from outbox.brief import brief
from outbox.conf import outbox_settings
from outbox.database import run
from outbox.pruning import prune_before

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

DAYS_AHEAD = 7
# Attaching and dropping lock the history for a moment: behind a long reader they would make every
# finishing task wait. They wait for no longer than this, and are tried again the next time.
LOCK_TIMEOUT = "100ms"
DEFAULT = "outbox_history_default"
# Attaching reads the default partition under its lock, 0.3 s for a million rows, and who asks for a
# message by its id waits so long. As long as a task waits for a lock, so that none fails by it.
STATEMENT_TIMEOUT = "2s"

_PARTITIONS = """
SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'outbox_history'::regclass AND c.relname ~ '^outbox_history_p[0-9]{8}$'
ORDER BY c.relname
"""

_TOO_LONG = {errorcodes.LOCK_NOT_AVAILABLE, errorcodes.QUERY_CANCELED}

# By its index, and without the lock that attaching takes.
_IN_DEFAULT = """
SELECT 1 FROM outbox_history_default WHERE done_at >= %(start)s AND done_at < %(end)s LIMIT 1
"""


@dataclass(slots=True)
class Maintained:
    """What one run of the maintenance did, and what it has to leave for later."""

    created: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    pruned: int = 0
    """Old rows deleted from the default partition; not counted if that is among the postponed."""
    postponed: list[str] = field(default_factory=list)
    """A lock was not to be had in time, or was held for too long; the next run tries again."""
    blocked: list[str] = field(default_factory=list)
    """Days whose rows are in the default partition already: they stay there, pruned by age."""


def maintain() -> Maintained:
    """Make the partitions of the coming days and drop those whose retention is over.

    Needs the tables' owner. Never waits long for a lock, so it may run at any time.
    """
    today = run("SELECT (now() AT TIME ZONE 'UTC')::date")[0][0]
    oldest_kept = today - timedelta(days=outbox_settings().history_days)
    present = {row[0] for row in run(_PARTITIONS)}
    result = Maintained()
    for offset in range(DAYS_AHEAD + 1):
        day = today + timedelta(days=offset)
        if name_of(day) not in present:
            _try(result, name_of(day), partial(_create, result, day))
    for name in sorted(present):
        if day_of(name) < oldest_kept:
            _try(result, name, partial(_drop, result, name))
    try:
        # With the zone: alone, a date would begin at midnight wherever the session believes it is.
        result.pruned = prune_before(DEFAULT, "done_at", f"{oldest_kept} 00:00:00+00")
    except Error as error:
        if _code(error) not in _TOO_LONG:
            raise
        result.postponed.append(DEFAULT)
    return result


def name_of(day: date) -> str:
    """The name of a day's partition."""
    return f"outbox_history_p{day:%Y%m%d}"


def day_of(name: str) -> date:
    """The day, in UTC, of a partition by its name."""
    return date.fromisoformat(name[-8:])


def _create(result: Maintained, day: date) -> list[str]:
    # By itself: with what it locks two runs at once would stand in each other's way.
    with _brief():
        if run(_IN_DEFAULT, **_bounds(day)):
            return result.blocked
    # CREATE, then ATTACH: CREATE ... PARTITION OF would lock the whole history exclusively.
    name = name_of(day)
    with _brief():
        run(f'CREATE TABLE "{name}" (LIKE outbox_history INCLUDING ALL)')
        run(
            f'ALTER TABLE outbox_history ATTACH PARTITION "{name}" '
            "FOR VALUES FROM (%(start)s) TO (%(end)s)",
            **_bounds(day),
        )
    return result.created


def _bounds(day: date) -> dict[str, str]:
    return {"start": f"{day} 00:00:00+00", "end": f"{day + timedelta(days=1)} 00:00:00+00"}


def _drop(result: Maintained, name: str) -> list[str]:
    with _brief():
        run(f'DROP TABLE "{name}"')
    return result.dropped


def _try(result: Maintained, name: str, act: Callable[[], list[str]]) -> None:
    """Enter the name into the list that `act` returns, or into the one that says why it did not."""
    try:
        names = act()
    except Error as error:
        code = _code(error)
        if code in _TOO_LONG:
            names = result.postponed
        elif code == errorcodes.CHECK_VIOLATION:
            names = result.blocked
        else:
            raise
    names.append(name)


def _brief() -> AbstractContextManager[None]:
    return brief(lock=LOCK_TIMEOUT, statement=STATEMENT_TIMEOUT)


def _code(error: Error) -> str | None:
    return getattr(error.__cause__, "pgcode", None)
