"""The body of a request, read once and within a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from django.http import HttpRequest


class TooLarge(Exception):
    """The body is longer than the limit."""


def read(request: HttpRequest, limit: int) -> bytes:
    """Read the body, never more than one byte beyond `limit`.

    Raises `TooLarge`, and `OSError` when it cannot be read to its end.
    """
    declared = _declared_length(request)
    if declared > limit:
        raise TooLarge
    body = _stream(request).read(limit + 1)
    if len(body) > limit:
        raise TooLarge
    if len(body) < declared:
        raise OSError(f"the body ended after {len(body)} of {declared} bytes")
    return body


def _declared_length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0  # as Django takes it: a body of no bytes


def _stream(request: HttpRequest) -> BinaryIO:
    """The body to read from. Django reads no chunked body: there the server's own stream is."""
    chunked = "CONTENT_LENGTH" not in request.META and "HTTP_TRANSFER_ENCODING" in request.META
    # Only a server that sets this ends the stream with the body; others would wait for ever.
    if chunked and request.META.get("wsgi.input_terminated"):
        return cast("BinaryIO", request.META["wsgi.input"])
    return cast("BinaryIO", request)
