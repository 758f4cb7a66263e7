"""The way into the service: Django's WSGI handler, which no header can make fail.

A delivery takes a shorter way than a page does: past the middleware that serves people, and past
what looks after connections where it has used none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.db import connections
from django.urls import Resolver404, get_resolver, set_script_prefix, set_urlconf
from django.utils.log import log_response

from app import chain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase
    from django.urls import ResolverMatch

    from app.chain import Chain, Headers


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
    """Django's handler with that request, and with a way of its own for deliveries.

    Django's signals of a request have its connections looked after, which takes longer than the
    rest of its handler. Most deliveries use none: they are stored by `app.group_commit`.
    """

    request_class = Request

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async)
        self._for_people = cast("Chain", self._middleware_chain)  # type: ignore[has-type]
        answer = self._get_response  # type: ignore[attr-defined]
        self._for_deliveries = chain.of_deliveries(answer)
        self._short = chain.without_constant(answer)
        self._constant = chain.constant_headers()
        self._endpoints: dict[str, ResolverMatch] = {}
        self._middleware_chain = convert_exception_to_response(self._respond)

    def __call__(  # type: ignore[override]  # any iterable will do, as WSGI has it
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request; a delivery to an address that had one, where it can be, in short."""
        if environ.get("PATH_INFO") in self._endpoints and not _is_connected():
            request = self.request_class(environ)
            constant = self._constant.get(request.scheme or "")
            if constant is not None:
                return self._answer_in_short(request, constant, start_response)
        return super().__call__(environ, start_response)

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Find the view, which was found before for a delivery."""
        match = self._endpoints.get(request.path_info)
        if match is None:
            return super().resolve_request(request)
        request.resolver_match = match
        return match

    def _answer_in_short(
        self, request: WSGIRequest, constant: Headers, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Do what Django's handler does, but for the signals if no connection has been used."""
        set_script_prefix(request.META["SCRIPT_NAME"])
        set_urlconf(settings.ROOT_URLCONF)
        response = cast("HttpResponse", self._short(request))
        if response.status_code >= 400:
            told = (response.reason_phrase, request.path)
            log_response("%s: %s", *told, response=response, request=request)
        headers = list(response.items())
        headers += [("Set-Cookie", each.output(header="")) for each in response.cookies.values()]
        own = {name.lower() for name, _ in headers}
        headers += [each for each in constant if each[0].lower() not in own]
        start_response(f"{response.status_code} {response.reason_phrase}", headers)
        if response.streaming or _is_connected():
            # The sender of the signal.
            response._handler_class = type(self)  # type: ignore[attr-defined]  # not in the stubs
            return response  # which the server closes: the signal that the request is finished
        return [response.content]

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


def _is_connected() -> bool:
    """Whether this thread has a connection of Django's."""
    return any(each.connection is not None for each in connections.all(initialized_only=True))
