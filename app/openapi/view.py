"""`GET /openapi.json`."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from django.http import HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.csrf import csrf_exempt

from app.openapi.document import encoded
from app.problem import method_not_allowed

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase

FRESH_SECONDS: Final = 300
"""How long a copy may be used unasked: about as long as a new version takes to be everywhere."""


@csrf_exempt  # it changes nothing; a wrong method is to be told so, in the same form as all else
def show(request: HttpRequest) -> HttpResponseBase:
    """Answer with the description."""
    if request.method not in ("GET", "HEAD"):
        return method_not_allowed("GET", "HEAD")
    body = encoded()
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={FRESH_SECONDS}"}
    response = HttpResponse(body, content_type="application/json", headers=headers)
    return get_conditional_response(request, etag=etag, response=response) or response
