"""A task with a preparation, of which some messages are poison: their payload says how.

All messages are of one event type, so that poison and its neighbours share batches.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from django.db import connection

import outbox
from outbox.declaration import Task

NAME = "poison.taken"
LEASED_NAME = "poison.leased"
QUEUE = "poison"

TABLES = """
CREATE TABLE poison_effect (number int NOT NULL, step text NOT NULL);
CREATE TABLE poison_mended ();
"""
NO_TABLES = "DROP TABLE poison_effect; DROP TABLE poison_mended"
MEND = "INSERT INTO poison_mended DEFAULT VALUES"
"""From now on nothing is poison, and nothing is held."""

HELD = "held until it is mended"
HOLD_SECONDS = 60
"""After so long a step that is held fails."""


LEASED_TRIES = 4
LINGER_SECONDS = 0.5
"""What a good message takes that is slow."""


def take(number: int, harm: str = "") -> None:
    _do("task", number, harm)


def fill(messages: list[outbox.Message]) -> None:
    for message in messages:
        _do("prepare", **message.payload)


def _do(step: str, number: int, harm: str = "") -> None:
    """Have an effect, and then come to harm if this is the step: what is undone is seen to be."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO poison_effect VALUES (%s, %s)", [number, step])
        at, _, how = harm.partition(" ")
        if at != step:
            return
        if how == "lingers":
            cursor.execute("SELECT pg_sleep(%s)", [LINGER_SECONDS])
            return
        cursor.execute("SELECT EXISTS (SELECT FROM poison_mended)")
        if cursor.fetchone()[0]:
            return
        if how == "is held":
            _wait_until_mended(cursor)
        if how == "kills":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "forbids":
            raise outbox.Permanent(f"number {number} must never be tried again")
        if how == "fails":
            raise ValueError(f"number {number} cannot be done")


def _wait_until_mended(cursor: Any) -> None:
    """In short statements, so that a lost connection is met at once."""
    end = time.monotonic() + HOLD_SECONDS
    mended = False
    while not mended:
        assert time.monotonic() < end
        cursor.execute(f"SELECT EXISTS (SELECT FROM poison_mended), pg_sleep(0.02) /* {HELD} */")
        mended = cursor.fetchone()[0]


def declare_here(declare: Any) -> Task[Any]:
    """Declare the task, in the test and in the processes that it starts alike."""
    task: Task[Any] = declare(NAME, name=NAME, queue=QUEUE)(take)
    task.prepare(fill)
    leased = {"atomic": False, "time_limit": 1, "max_attempts": LEASED_TRIES}
    declare(LEASED_NAME, name=LEASED_NAME, queue=QUEUE, **leased)(take)
    return task
