"""Take a delivery in: verify it, store it with its message, answer 202. For any endpoint.

The order of the checks is part of the contract: 405, 413, 503, 401, 415, 400, 422, 409. Before
the signature is known to be good, nothing is parsed and no database is touched: whether the door is
open (`app.admission`) is known without it. The body has been read by then, so that an honest sender
reads the answer.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.conf import settings
from django.db import transaction
from django.urls import get_script_prefix, reverse
from django.utils.encoding import escape_uri_path
from django.views.decorators.csrf import csrf_exempt

from app import door, metrics
from app.answers import Accepted, as_json
from app.ledger import Acceptance, Delivery, OtherBody, OtherEndpoint, record
from app.problem import Problem, method_not_allowed, outage_is_503, problem
from app.problem_types import ProblemType
from app.proof import Signed, prove
from app.strict_json import Invalid, Malformed, storable_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.http import HttpRequest, HttpResponse, HttpResponseBase

    from outbox import Message

    View = TypeVar("View", bound=Callable[..., HttpResponseBase])

T = TypeVar("T")


def endpoint(view: View) -> View:
    """Make a view one that takes deliveries in: no CSRF token, and no transaction around it.

    The signature is the proof, and no browser sends one. `accept` commits by itself, before the
    answer is built.
    """
    taking: Any = transaction.non_atomic_requests(csrf_exempt(view))
    taking.takes_deliveries = True  # for `app.handler`
    return cast("View", taking)


def accept(
    request: HttpRequest,
    *,
    store: Callable[[Delivery[T]], Message],
    parse: Callable[[bytes], T] = storable_json,
    secrets: Sequence[str] | None = None,
) -> HttpResponse:
    """Answer a delivery: 202 means that it is committed and will be worked, or a problem.

    `parse` makes the content of the body and may touch no database; it raises `Malformed` for a
    400, `Invalid` for a 422. By default it reads JSON, all of which PostgreSQL can store. `store`
    is plain ORM, run once per delivery inside a transaction on the outbox's database: it returns
    the message that it enqueued, and what it raises undoes all of it (`Malformed` and `Invalid`
    are answered as above).
    `secrets` are those of the endpoint's senders, `whsec_...`; by default WEBHOOK_SECRETS.
    """
    return take_in(request, record=partial(record, store=store), parse=parse, secrets=secrets)


def take_in(
    request: HttpRequest,
    *,
    record: Callable[[Delivery[T]], Acceptance],
    parse: Callable[[bytes], T],
    secrets: Sequence[str] | None = None,
) -> HttpResponse:
    """Answer a delivery as `accept` does, stored by `record` in a way of its own.

    `record` returns when the delivery is committed, and raises as `app.ledger.record` does.
    """
    try:
        answer = _answer(request, record, parse, secrets)
    except Exception:
        metrics.answered(metrics.outcome_of(ProblemType.SERVER_FAULT))
        raise
    if isinstance(answer, Problem):
        metrics.answered(metrics.outcome_of(answer.kind))
    return answer


@outage_is_503
def _answer(
    request: HttpRequest,
    record: Callable[[Delivery[T]], Acceptance],
    parse: Callable[[bytes], T],
    secrets: Sequence[str] | None,
) -> HttpResponse:
    if request.method != "POST":
        return method_not_allowed("POST")
    signed = prove(request, settings.WEBHOOK_SECRETS if secrets is None else secrets)
    if not isinstance(signed, Signed):
        return signed
    try:
        accepted = _record(_delivery(request, signed, parse), record)
    except Malformed as error:
        return problem(ProblemType.MALFORMED_BODY, str(error), errors=error.errors)
    except Invalid as error:
        return problem(
            ProblemType.INVALID_EVENT,
            "The body is JSON, but not a valid event.",
            errors=error.errors,
        )
    except OtherEndpoint:
        return problem(
            ProblemType.ID_ELSEWHERE,
            "This webhook-id was accepted before, at another endpoint, and is not stored at this"
            " one. Give each endpoint's deliveries ids of their own.",
        )
    except OtherBody:
        return problem(
            ProblemType.ID_REUSED, "This webhook-id was accepted before, with another body."
        )
    return _accepted(accepted)


def _delivery(request: HttpRequest, signed: Signed, parse: Callable[[bytes], T]) -> Delivery[T]:
    return Delivery(
        id=signed.webhook_id,
        timestamp=datetime.fromtimestamp(signed.timestamp, UTC),
        body=signed.body,
        content=parse(signed.body),
        # Escaped: a path that was taken in by a pattern may hold what cannot be stored.
        endpoint=escape_uri_path(request.path_info),
        key=signed.key,
    )


def _record(delivery: Delivery[T], record: Callable[[Delivery[T]], Acceptance]) -> Acceptance:
    """Store it, and have it counted by who watches over the backlog."""
    began = monotonic()
    with door.storing():
        accepted = record(delivery)
        if not accepted.duplicate:
            door.stored()
    metrics.accepted(delivery.key, monotonic() - began, duplicate=accepted.duplicate)
    return accepted


@cache
def _status_url(_urlconf: str, _prefix: str) -> str:
    """The path of a message's status, with a place for its id: that takes as long as a parse."""
    return reverse("message", args=["ID"]).replace("{", "{{").replace("}", "}}").replace("ID", "{}")


def _accepted(accepted: Acceptance) -> HttpResponse:
    # A path, not an absolute address: the same whatever name and scheme the request came by, and
    # resolved by the caller against the address it has called.
    status_url = _status_url(settings.ROOT_URLCONF, get_script_prefix()).format(accepted.message_id)
    told = Accepted(accepted.message_id, accepted.state, status_url)
    return as_json(told, status=202, headers={"Location": status_url})
