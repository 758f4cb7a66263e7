"""Answers that say what went wrong, as `application/problem+json` (RFC 9457).

`type` is `about:blank`: the status says which kind of problem it is, `detail` what to do about it.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from django.db import InterfaceError, InternalError, OperationalError
from django.http import JsonResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.http import HttpRequest, HttpResponseBase

logger = logging.getLogger(__name__)

P = ParamSpec("P")

RETRY_AFTER_SECONDS = 5
MAX_ERRORS = 20
"""So many faults are told of one document: an answer must not outgrow what it answers."""

# The names of RFC 9110. Python's own table changed some of them between its versions.
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of a document: where, as a JSON pointer (RFC 6901), and what is wrong there."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class ParameterError:
    """One fault of an address: the parameter of its query, and what is wrong there."""

    parameter: str
    detail: str


def problem(
    status: int,
    detail: str,
    *,
    errors: Sequence[FieldError | ParameterError] = (),
    headers: Mapping[str, str] | None = None,
) -> JsonResponse:
    """Return the answer for `status`; `errors` names what is not valid, the first of them."""
    if len(errors) > MAX_ERRORS:
        detail = f"{detail} There is more than the first {MAX_ERRORS} faults, which are listed."
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLES[status],
        "status": status,
        "detail": detail,
    }
    if errors:
        document["errors"] = [asdict(error) for error in errors[:MAX_ERRORS]]
    return JsonResponse(
        document, status=status, headers=headers, content_type="application/problem+json"
    )


def method_not_allowed(*allowed: str) -> JsonResponse:
    """Return the 405 that names the methods of the resource."""
    methods = ", ".join(allowed)
    return problem(405, f"Use {methods}.", headers={"Allow": methods})


def unavailable(detail: str) -> JsonResponse:
    """Return the 503 that asks the caller to come back."""
    return problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def outage_is_503(
    view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Let a view answer 503 while the database is away, busy beyond its time-outs or read-only.

    A fault in a statement of ours is not among them: it stays an error, to be seen and mended.
    """

    @functools.wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        # InternalError: a server that became a standby refuses the write so.
        except (OperationalError, InterfaceError, InternalError) as error:
            logger.warning("the database could not serve %s: %s", request.path, error)
            return unavailable("The database cannot be reached just now. Try again.")

    return guarded
