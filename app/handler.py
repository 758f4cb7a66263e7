"""The way into the service: Django's WSGI handler, which no header can make fail.

A delivery takes a shorter way than a page does: past the middleware that serves people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.urls import Resolver404, get_resolver
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase
    from django.urls import ResolverMatch

    Chain = Callable[[HttpRequest], HttpResponseBase]

FOR_PEOPLE: Final = frozenset(
    {
        "whitenoise.middleware.WhiteNoiseMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "outbox.routers.ReplicaReadsMiddleware",
    }
)
"""What does nothing for a delivery, and takes as long as to check its signature and to read it:
files, cookies, forms, and reads of the replica outside of a transaction."""


class Request(WSGIRequest):
    """A request whose Content-Type may be any text.

    Django parses that header while it makes the request, outside its own handling of errors: an
    unknown charset in an RFC 2231 parameter, for one, raises there and becomes the server's 500.
    """

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            super()._set_content_type_params(meta)  # type: ignore[misc]  # not in the stubs
        except (LookupError, TypeError, ValueError):
            self.content_type, self.content_params = "", {}


class Handler(WSGIHandler):
    """Django's handler with that request, and with a chain of middleware for deliveries."""

    request_class = Request

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async)
        self._for_people = cast("Chain", self._middleware_chain)  # type: ignore[has-type]
        self._for_deliveries = self._chain_without(FOR_PEOPLE)
        self._endpoints: dict[str, ResolverMatch] = {}
        self._middleware_chain = convert_exception_to_response(self._respond)

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Find the view, which was found before for a delivery."""
        match = self._endpoints.get(request.path_info)
        if match is None:
            return super().resolve_request(request)
        request.resolver_match = match
        return match

    def _respond(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info in self._endpoints or self._is_endpoint(request.path_info):
            return self._for_deliveries(request)
        return self._for_people(request)

    def _is_endpoint(self, path: str) -> bool:
        """Whether a view takes deliveries there; remembered, unless its path is one of many."""
        try:
            match = get_resolver().resolve(path)
        except Resolver404:
            return False
        if not getattr(match.func, "takes_deliveries", False):
            return False
        if not (match.args or match.kwargs):
            self._endpoints[path] = match
        return True

    def _chain_without(self, left_out: frozenset[str]) -> Chain:
        chain: Any = convert_exception_to_response(self._get_response)  # type: ignore[attr-defined]
        for name in reversed(settings.MIDDLEWARE):
            if name in left_out:
                continue
            try:
                chain = convert_exception_to_response(import_string(name)(chain))
            except MiddlewareNotUsed:
                continue
        return cast("Chain", chain)
