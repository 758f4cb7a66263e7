"""Bearer tokens (RFC 6750) for the addresses that read Posts."""

from __future__ import annotations

import functools
import hmac
import logging
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, JsonResponse

from app.problem import method_not_allowed, problem
from app.problem_types import ProblemType

logger = logging.getLogger(__name__)

P = ParamSpec("P")


def readers_only(
    view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Answer GET and HEAD of those who know one of `READ_TOKENS`; without any there is nothing."""

    @functools.wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not settings.READ_TOKENS:
            return problem(ProblemType.NOT_FOUND, "There is nothing at this address.")
        if request.method not in ("GET", "HEAD"):
            return method_not_allowed("GET", "HEAD")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return _unauthorized()
        if not _is_known(token.strip()):
            logger.warning("reading.refused: unknown token")
            return _unauthorized(', error="invalid_token"')
        return view(request, *args, **kwargs)

    return guarded


def _is_known(token: str) -> bool:
    sent = token.encode(errors="replace")
    # All are compared, so that the time does not tell which of them it was.
    return True in [hmac.compare_digest(sent, known.encode()) for known in settings.READ_TOKENS]


def _unauthorized(error: str = "") -> JsonResponse:
    return problem(
        ProblemType.UNAUTHORIZED,
        "Send one of the service's read tokens: Authorization: Bearer <token>.",
        headers={"WWW-Authenticate": f'Bearer realm="posts"{error}'},
    )
