"""The middleware that a delivery passes: of the settings' list all but what does nothing for it."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, cast

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse
from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    Chain = Callable[[HttpRequest], HttpResponseBase]
    Headers = list[tuple[str, str]]

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

CONSTANT: Final = frozenset(
    {
        "app.answer_headers.AnswerHeaders",
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    }
)
"""What adds the same headers to each answer: it need not be asked for them each time."""


def of_deliveries(answer: Chain) -> Chain:
    """Return all that a delivery passes, around what answers it."""
    return _chain(answer, [name for name in settings.MIDDLEWARE if name not in FOR_PEOPLE])


def without_constant(answer: Chain) -> Chain:
    """Return that but for what adds `constant_headers`."""
    left_out = FOR_PEOPLE | CONSTANT
    return _chain(answer, [name for name in settings.MIDDLEWARE if name not in left_out])


def constant_headers() -> dict[str, Headers]:
    """Return the headers that are the same in each answer, by the scheme of the request.

    A scheme is missing whose requests are redirected to the other.
    """
    schemes = ["https"] if settings.SECURE_SSL_REDIRECT else ["http", "https"]
    return {scheme: _added(scheme) for scheme in schemes}


def _added(scheme: str) -> Headers:
    names = [name for name in settings.MIDDLEWARE if name in CONSTANT]
    chain = _chain(lambda _: HttpResponse(content_type="none"), names)
    asked = {"REQUEST_METHOD": "POST", "wsgi.url_scheme": scheme, "wsgi.input": BytesIO()}
    answer = chain(WSGIRequest(asked))
    return [(name, value) for name, value in answer.items() if name != "Content-Type"]


def _chain(answer: Chain, names: list[str]) -> Chain:
    chain: Any = convert_exception_to_response(answer)
    for name in reversed(names):
        try:
            chain = convert_exception_to_response(import_string(name)(chain))
        except MiddlewareNotUsed:
            continue
    return cast("Chain", chain)
