"""The way into the service: Django's WSGI handler, which no header can make fail."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest


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
    """Django's handler with that request."""

    request_class = Request
