"""Answers that say what went wrong, as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import functools
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

from django.db import InterfaceError, InternalError, OperationalError
from django.http import JsonResponse

from app.problem_types import ProblemType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.http import HttpRequest

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

CONTENT_TYPE: Final = "application/problem+json"
DATABASE_RETRY_SECONDS: Final = 5
MAX_ERRORS: Final = 20
"""So many faults are told of one document: an answer must not outgrow what it answers."""


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


class Problem(JsonResponse):
    """An answer that bears the document of a problem."""

    def __init__(self, kind: ProblemType, told: Mapping[str, Any], headers: Any) -> None:
        super().__init__(told, status=kind.status, headers=headers, content_type=CONTENT_TYPE)
        self.kind = kind


def document(
    kind: ProblemType, detail: str, errors: Sequence[FieldError | ParameterError] = ()
) -> dict[str, Any]:
    """Return the problem document of `kind`; `errors` names what is not valid, the first of them.

    `detail` says what to do about it.
    """
    if len(errors) > MAX_ERRORS:
        detail = f"{detail} There is more than the first {MAX_ERRORS} faults, which are listed."
    told: dict[str, Any] = {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
    }
    if errors:
        told["errors"] = [asdict(error) for error in errors[:MAX_ERRORS]]
    return told


def problem(
    kind: ProblemType,
    detail: str,
    *,
    errors: Sequence[FieldError | ParameterError] = (),
    headers: Mapping[str, str] | None = None,
) -> Problem:
    """Return the answer that bears the document of `kind`."""
    return Problem(kind, document(kind, detail, errors), headers)


def method_not_allowed(*allowed: str) -> Problem:
    """Return the 405 that names the methods of the resource."""
    methods = ", ".join(allowed)
    return problem(ProblemType.METHOD_NOT_ALLOWED, f"Use {methods}.", headers={"Allow": methods})


def unavailable(kind: ProblemType, detail: str, *, retry_after: int) -> Problem:
    """Return the 503 that asks the caller to come back after so many seconds."""
    return problem(kind, detail, headers={"Retry-After": str(retry_after)})


def database_away() -> Problem:
    """Return the 503 of a database that cannot do it just now."""
    return unavailable(
        ProblemType.DATABASE_AWAY,
        "The database cannot be reached just now. Try again.",
        retry_after=DATABASE_RETRY_SECONDS,
    )


def outage_is_503(
    view: Callable[Concatenate[HttpRequest, P], R],
) -> Callable[Concatenate[HttpRequest, P], R | Problem]:
    """Let a view answer 503 while the database is away, busy beyond its time-outs or read-only.

    A fault in a statement of ours is not among them: it stays an error, to be seen and mended.
    """

    @functools.wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> R | Problem:
        try:
            return view(request, *args, **kwargs)
        # InternalError: a server that became a standby refuses the write so.
        except (OperationalError, InterfaceError, InternalError) as error:
            logger.warning("the database could not serve %s: %s", _route(request), error)
            return database_away()

    return guarded


def _route(request: HttpRequest) -> str:
    """Which address was asked for, for the log: not the path, which may hold a line end or an id.

    Who knows a message's id may ask for it.
    """
    return f"/{request.resolver_match.route}" if request.resolver_match else "a request"
