"""Answers to what is not HTTP as we take it: problem documents, as the application's are.

No application sees such a request. The answer never quotes it, nor does the log.
"""

from __future__ import annotations

import json
from typing import Final

from gunicorn.http import errors
from gunicorn.util import http_date

from app.problem_types import ProblemType
from settings.http_request import LateHead

_FRAMING: Final = "Content-Length or Transfer-Encoding does not say where the body ends."
_OF_HEADERS: Final = {
    "HOST": "A request has one Host header.",
    "CONTENT-LENGTH": _FRAMING,
    "TRANSFER-ENCODING": _FRAMING,
}

_KINDS: Final[tuple[tuple[type[Exception], ProblemType, str], ...]] = (
    (LateHead, ProblemType.REQUEST_TIMEOUT, "The headers did not arrive in time."),
    (errors.NoMoreData, ProblemType.BAD_REQUEST, "The request ended before its headers did."),
    (errors.LimitRequestLine, ProblemType.URI_TOO_LONG, "The request line is too long."),
    (errors.LimitRequestHeaders, ProblemType.HEADERS_TOO_LARGE, "The headers are too large."),
    (
        errors.UnsupportedTransferCoding,
        ProblemType.NOT_IMPLEMENTED,
        "No transfer coding is known but chunked.",
    ),
    (
        errors.ExpectationFailed,
        ProblemType.EXPECTATION_FAILED,
        "No expectation is known but 100-continue.",
    ),
    (
        errors.InvalidRequestMethod,
        ProblemType.BAD_REQUEST,
        "The method is not one of HTTP's, which are written in capitals.",
    ),
    (errors.InvalidRequestLine, ProblemType.BAD_REQUEST, "The request line is malformed."),
    (errors.ParseException, ProblemType.BAD_REQUEST, "A header is malformed."),
)


def refusal(error: Exception) -> tuple[ProblemType, str]:
    """Return the kind of problem that an error of the parser is, and what to tell the caller."""
    if isinstance(error, errors.InvalidHTTPVersion):
        # A version that can be read is given as numbers, anything else as it was sent.
        if isinstance(error.version, tuple):
            return ProblemType.HTTP_VERSION, "Use HTTP/1.1 or HTTP/1.0."
        return ProblemType.BAD_REQUEST, "The request line is malformed."
    if isinstance(error, errors.InvalidHeader) and error.hdr in _OF_HEADERS:
        return ProblemType.BAD_REQUEST, _OF_HEADERS[error.hdr]
    return next((kind, detail) for of, kind, detail in _KINDS if isinstance(error, of))


def answer(kind: ProblemType, detail: str) -> bytes:
    """Return the whole answer of a server that then closes the connection."""
    from app.problem import CONTENT_TYPE, document  # Django's, not before the worker is patched

    body = json.dumps(document(kind, detail)).encode()
    head = (
        f"HTTP/1.1 {kind.status} {kind.title}",
        f"Date: {http_date()}",
        "Connection: close",
        "Cache-Control: no-store",  # without a word a cache may keep a 414 or a 501
        f"Content-Type: {CONTENT_TYPE}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*head, "", "")).encode() + body
