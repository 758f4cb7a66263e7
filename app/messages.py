"""`GET /messages/{message_id}/`: what has become of an accepted delivery.

The resource has no login: the random UUID, which only the sender was told, is the capability. It
shows no payload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.views.decorators.csrf import csrf_exempt

from app.answers import MessageStatus, as_json
from app.problem import method_not_allowed, outage_is_503, problem
from app.problem_types import ProblemType
from outbox import status

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@csrf_exempt  # it changes nothing; a wrong method is to be told so, in the same form as all else
@outage_is_503
def show(request: HttpRequest, message_id: str) -> HttpResponse:
    """Answer with the message's state and times; `attempts` is the tries of the present step."""
    if request.method not in ("GET", "HEAD"):
        return method_not_allowed("GET", "HEAD")
    found = status.lookup(key) if (key := _uuid(message_id)) else None
    if found is None:
        return problem(
            ProblemType.NOT_FOUND,
            "No such message: unknown, or done so long ago that it was dropped.",
        )
    # It changes by the second; a cache would show a state that is gone.
    return as_json(MessageStatus(**found), headers={"Cache-Control": "no-store"})


def _uuid(text: str) -> UUID | None:
    try:
        key = UUID(text)
    except ValueError:
        return None
    # UUID() also takes braces, URNs and misplaced hyphens: one message has one address.
    return key if str(key) == text.lower() else None
