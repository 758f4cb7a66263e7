"""Celery's soft time limit, felt by the body of a task alone.

In a prefork worker the limit is a signal, whose handler raises wherever the process happens to be.
Between the body's end and the commit that would lose the receipt, or the failure just written.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from billiard.exceptions import SoftTimeLimitExceeded
from billiard.pool import SIG_SOFT_TIMEOUT, soft_timeout_sighandler

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Limit:
    """The handler that stands in for the pool's while a message is worked."""

    body_runs = False
    came = False

    def __call__(self, *_: Any) -> None:
        self.came = True
        if self.body_runs:
            raise SoftTimeLimitExceeded


# One for the process: signals and the tasks of a prefork child have its main thread alone.
_limit = _Limit()


def _is_enforced() -> bool:
    return (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(SIG_SOFT_TIMEOUT) is soft_timeout_sighandler
    )


@contextmanager
def deferred() -> Iterator[None]:
    """Keep the soft limit off in this block, but for the parts in which it is `felt`."""
    if not _is_enforced():
        yield
        return
    _limit.came = _limit.body_runs = False
    signal.signal(SIG_SOFT_TIMEOUT, _limit)
    try:
        yield
    finally:
        signal.signal(SIG_SOFT_TIMEOUT, soft_timeout_sighandler)


@contextmanager
def felt() -> Iterator[None]:
    """Let the soft limit interrupt this block; at once, if it has come before.

    Raises SoftTimeLimitExceeded. It comes once per task, so that nothing is to be feared after.
    """
    _limit.body_runs = True
    try:
        if _limit.came and _is_ours():
            raise SoftTimeLimitExceeded
        yield
    finally:
        _limit.body_runs = False


def _is_ours() -> bool:
    return signal.getsignal(SIG_SOFT_TIMEOUT) is _limit
