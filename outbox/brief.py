"""Transactions of which nobody has to be afraid: they wait and work for a bounded time."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import transaction

from outbox.conf import outbox_settings
from outbox.database import run

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMEOUTS = """
SELECT set_config('lock_timeout', %(lock)s, true),
       set_config('statement_timeout', %(longest)s, true)
"""


@contextmanager
def brief(*, lock: str, statement: str) -> Iterator[None]:
    """A transaction of its own, in which no lock is awaited and no statement runs for longer.

    The limits are as PostgreSQL writes them, "100ms" or "2s", and end with it. What goes beyond
    one raises Django's `OperationalError`.
    """
    with transaction.atomic(using=outbox_settings().database, durable=True):
        run(_TIMEOUTS, lock=lock, longest=statement)
        yield
