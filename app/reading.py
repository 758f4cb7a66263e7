"""`GET /posts/` and `GET /posts/{source_id}/`: what came in, read from the replica if there is one.

Which server answers is the router's decision. The age of its data is asked first, on the connection
that is then read: it is the same server's, and what is read is never older.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.views.decorators.csrf import csrf_exempt

from app.answers import PostPage
from app.bearer import readers_only
from app.data_age import data_age
from app.document import documents
from app.models import Post
from app.problem import outage_is_503, problem
from app.problem_types import ProblemType
from app.search import InvalidSearch, find, parse


@csrf_exempt  # it changes nothing; a wrong method is to be told so, in the same form as all else
@outage_is_503
@readers_only
def index(request: HttpRequest) -> HttpResponseBase:
    """Answer with one page of the Posts that are asked for, and the address of the next."""
    try:
        search = parse(request.GET)
    except InvalidSearch as error:
        return problem(
            ProblemType.INVALID_PARAMETERS, "The parameters are not valid.", errors=error.errors
        )
    database = Post.objects.db
    age = data_age(database)
    page = find(search, database)
    following = None
    if page.end is not None:
        parameters = request.GET.copy()
        parameters["after"] = str(page.end)
        following = f"{reverse('posts')}?{parameters.urlencode()}"
    return _answer(request, PostPage(page.posts, following), age)


@csrf_exempt
@outage_is_503
@readers_only
def show(request: HttpRequest, source_id: str) -> HttpResponseBase:
    """Answer with the Post of the source's own id."""
    database = Post.objects.db
    age = data_age(database)
    for post in documents(Post.objects.using(database).filter(source_id=source_id)).values():
        return _answer(request, post, age)
    return problem(
        ProblemType.NOT_FOUND,
        "No such Post: unknown, not filled yet, or deleted; or the server that answers, which may"
        " be behind by Data-Age seconds, has not got it yet.",
        headers=_headers(age),
    )


def _answer(request: HttpRequest, content: Any, age: float | None) -> HttpResponseBase:
    body = msgspec.json.encode(content)
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {**_headers(age), "ETag": etag}
    response = HttpResponse(body, content_type="application/json", headers=headers)
    conditional = get_conditional_response(request, etag=etag, response=response) or response
    for name, value in _headers(age).items():
        conditional[name] = value  # Django's 304 leaves out what HTTP does not know
    return conditional


def _headers(age: float | None) -> dict[str, str]:
    known = {} if age is None else {"Data-Age": f"{age:.3f}"}
    # A copy may be kept by the caller alone, who has to ask whether it is still so.
    return {"Cache-Control": "private, no-cache", **known}
