"""The service with a door that samples the backlog as ever and is never closed.

A backlog of a million is beyond every limit of WEBHOOK_MAX_BACKLOG: what a 202 costs beside it can
only be measured where it is given.
"""

from __future__ import annotations

from app.admission import Admission, Closed
from settings.wsgi import application

__all__ = ["application"]


def _never(_admission: Admission) -> Closed | None:
    """Whatever the samples say."""
    return None


Admission.closed = _never  # type: ignore[assignment,method-assign]  # in this process alone
