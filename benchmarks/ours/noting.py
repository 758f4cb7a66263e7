"""Loaded by the benchmark's worker, `celery -I benchmarks.ours.noting`: notes each first line.

A note is the number that the task was given and the time of `time.monotonic()`, which all processes
of a machine share. NOTES names the file; to append 16 bytes to it takes a few microseconds.
"""

from __future__ import annotations

import os
import struct
import time
from functools import wraps

import outbox
from app.tasks import index_post

NOTE = struct.Struct("=qd")
QUEUE = "noted"

_file = (
    os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    if ("NOTES" in os.environ)
    else -1
)


def note(number: int) -> None:
    os.write(_file, NOTE.pack(number, time.monotonic()))


@outbox.task("benchmark.noted", name="benchmark.noted", queue=QUEUE)
def noted(number: int) -> None:
    """A body that does nothing else."""
    note(number)


if _file >= 0:
    _body = index_post.body

    @wraps(_body)
    def _noting(source_id: str, **change: object) -> object:
        note(int(source_id.rpartition("-")[2]))
        return _body(source_id, **change)

    index_post.body = _noting
