"""The service's application, whose group-commit thread ends when it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from app import group_commit
from app.group import Waiting
from app.group_commit import GroupCommit
from settings.wsgi import application as service


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer as the service does. After `/end` the thread ends at the next delivery.

    What is not told of it then would wait for longer than the test.
    """
    if environ["PATH_INFO"] != "/end":
        return service(environ, start_response)
    group_commit.WAIT_SECONDS = 600.0  # type: ignore[misc]
    GroupCommit._next = _out_of_memory  # type: ignore[assignment, method-assign]
    start_response("204 No Content", [])
    return []


def _out_of_memory(_own: GroupCommit) -> list[Waiting]:
    raise MemoryError
