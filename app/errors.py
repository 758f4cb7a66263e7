"""The answers where no view answers, for `handler400` and the like of the root URLconf.

Programs call the addresses of the service and get a problem document; people use the admin and get
Django's pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.core.exceptions import DisallowedHost
from django.urls import is_valid_path
from django.views import defaults

from app.problem import problem
from app.problem_types import ProblemType

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_ADMIN: Final = "/admin/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400, which the exception's text is kept out of: it may quote what was sent."""
    if is_for_people(request):
        return defaults.bad_request(request, exception)
    if isinstance(exception, DisallowedHost):
        return problem(ProblemType.BAD_REQUEST, "The Host header does not name this service.")
    return problem(ProblemType.BAD_REQUEST, "The request cannot be understood.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    if is_for_people(request):
        return defaults.permission_denied(request, exception)
    return problem(ProblemType.FORBIDDEN, "This is not allowed.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404. It names the address with the final slash, if that is all that was missing.

    No redirect to it: most callers would follow that with a GET, and lose the body.
    """
    if is_for_people(request):
        return defaults.page_not_found(request, exception)
    with_slash = f"{request.path_info}/"
    if is_valid_path(with_slash):
        return problem(ProblemType.NOT_FOUND, f"The address ends with a slash: {with_slash}")
    return problem(ProblemType.NOT_FOUND, "There is nothing at this address.")


def server_error(request: HttpRequest) -> HttpResponse:
    """500. What happened is in the log."""
    if is_for_people(request):
        return defaults.server_error(request)
    return problem(ProblemType.SERVER_FAULT, "The service has a fault. Try again later.")


def is_for_people(request: HttpRequest) -> bool:
    """Whether the address is one of the admin's: people see its answers, and no program does."""
    return request.path_info.startswith(_ADMIN)
