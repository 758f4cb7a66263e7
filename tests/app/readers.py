"""What the tests of the read side ask with, and Posts that can be found."""

from __future__ import annotations

from typing import Any

from django.test import Client

from app.database import run
from app.models import Post
from app.tasks import INDEX, SEARCHABLE_CHARACTERS
from tests.factories import PostFactory

TOKEN = "a-token-of-the-tests"
HEADERS = {"authorization": f"Bearer {TOKEN}"}


def ask(path: str = "/posts/", headers: dict[str, str] = HEADERS, **parameters: Any) -> Any:
    """The answer to a reader who knows the token."""
    return Client().get(path, parameters, headers=headers)


def titles(path: str = "/posts/", **parameters: Any) -> list[str]:
    """The titles of the Posts of one page, in its order."""
    answer = ask(path, **parameters)
    assert answer.status_code == 200, answer.content
    return [post["title"] for post in answer.json()["posts"]]


def indexed_post(**fields: Any) -> Post:
    """A Post with its search vector, as the task builds it."""
    post = PostFactory.create(**fields)
    run(INDEX, id=post.pk, characters=SEARCHABLE_CHARACTERS)
    return post
