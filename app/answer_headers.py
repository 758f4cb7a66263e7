"""Headers of every answer of the application, besides those of Django's `SecurityMiddleware`.

What is not HTTP never comes so far: the web server refuses it by itself (`settings.refusal`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.errors import is_for_people

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

# What callers get is data: a browser that is made to show it as a page loads and runs nothing.
_OF_DATA: Final = "default-src 'none'; frame-ancestors 'none'"
# The admin's scripts and styles are files of its own. Whatever a delivery brought in, a title for
# one, cannot run there even if it were written into a page unescaped. Some styles stand inline.
_OF_THE_ADMIN: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class AnswerHeaders:
    """Middleware: a content security policy, and no copies where the answer says nothing of them.

    It comes first: an answer that another middleware gives is one as well.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        policy = _OF_THE_ADMIN if is_for_people(request) else _OF_DATA
        response.headers.setdefault("Content-Security-Policy", policy)
        # Without a word a cache may keep some answers, a 404 for one, for as long as it likes.
        response.headers.setdefault("Cache-Control", "no-store")
        return response
