"""What a reader asks for, and the page of Posts that answers it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from django.contrib.postgres.search import SearchQuery
from django.db.models import BooleanField, F, Func, IntegerField, QuerySet, Value
from django.db.models.lookups import LessThan

from app.cursor import Cursor
from app.document import PostDocument, documents
from app.models import Category, Post, Tag
from app.payload import normal_name
from app.problem import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import QueryDict

QUERY_LENGTH: Final = 200
DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
MAX_MINUSES: Final = 20
# Each is a NOT, and waits for a word on a stack of PostgreSQL's that has 32 places and then fails.
_MANY_MINUSES: Final = re.compile(rf"(?:-(?:[^\w-]|_)*){{{MAX_MINUSES + 1}}}")
PAGE_BYTES: Final = 4 * 1_048_576
"""Bytes of bodies in one page: beyond them it ends early. A single body may be as long."""


class InvalidSearch(ValueError):
    """The parameters cannot be used; `errors` names each and says why."""

    def __init__(self, errors: list[ParameterError]) -> None:
        super().__init__("; ".join(f"{e.parameter}: {e.detail}" for e in errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Search:
    """A question, whose parts all have to be met; an empty part asks for nothing."""

    q: str = ""
    category: str = ""
    tag: str = ""
    after: Cursor | None = None
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Page:
    """Posts, newest version first; `end` is where the next page begins, None after the last."""

    posts: list[PostDocument]
    end: Cursor | None


def parse(query: QueryDict) -> Search:
    """Return the search that the parameters ask for; blank ones count as not given.

    Raises `InvalidSearch`, with every fault, whatever the parameters are.
    """
    known = ", ".join(_READERS)
    errors = [
        ParameterError(name, f"There is no such parameter. There are {known}.")
        for name in query
        if name not in _READERS
    ]
    parts: dict[str, Any] = {}
    for name, read in _READERS.items():
        values = query.getlist(name)
        if len(values) > 1:
            errors.append(ParameterError(name, "It is given more than once."))
        elif values and values[0].strip():
            try:
                parts[name] = read(values[0])
            except ValueError as error:
                errors.append(ParameterError(name, str(error)))
    if errors:
        raise InvalidSearch(errors)
    return Search(**parts)


def find(search: Search, database: str) -> Page:
    """Read one page.

    First the keys alone, so that no long text is read for a row that is not shown; then the Posts.
    A Post that meanwhile has left what was asked for is not shown, and the page one shorter.
    """
    posts = matching(search, database)
    keys = list(page_keys(posts, search))
    shown = _fitting(keys[: search.limit])
    if not shown:
        return Page([], None)
    order = [pk for pk, _, _ in shown]
    read = documents(posts.filter(pk__in=order))
    last, timestamp, _ = shown[-1]
    end = Cursor(timestamp, last) if len(shown) < len(keys) else None
    return Page([read[pk] for pk in order if pk in read], end)


def matching(search: Search, database: str) -> QuerySet[Post]:
    """The visible Posts that are asked for, those of earlier pages among them."""
    posts = Post.objects.using(database)
    if search.q:
        query = SearchQuery(search.q, config="simple", search_type="websearch")
        posts = posts.filter(search_vector=query)
    if search.category:
        posts = posts.filter(categories__in=_keys(Category, search.category, database))
    if search.tag:
        posts = posts.filter(tags__in=_keys(Tag, search.tag, database))
    return posts


def _keys(model: type[Category | Tag], name: str, database: str) -> list[int]:
    # Read first, not joined: the planner knows how many Posts a key has, and of a name it would
    # take the average, which makes it walk through all Posts for a rare one.
    return list(model.objects.using(database).filter(name=name).values_list("pk", flat=True))


def page_keys(posts: QuerySet[Post], search: Search) -> QuerySet[Post, tuple[int, datetime, int]]:
    """Key and bytes of the page's Posts, and one more if there is a page after it."""
    if after := search.after:
        # Compared as a row, as the index has it: each page costs the same, however far it is.
        place = _row(Value(after.timestamp), Value(after.post_id))
        posts = posts.filter(LessThan(_row(F("source_timestamp"), F("pk")), place))
    size = Func(F("body"), function="octet_length", output_field=IntegerField())
    newest_first = posts.order_by("-source_timestamp", "-pk")
    return newest_first.values_list("pk", "source_timestamp", size)[: search.limit + 1]


def _row(*columns: Any) -> Func:
    return Func(*columns, function="ROW", output_field=BooleanField())


def _fitting(keys: list[tuple[int, datetime, int]]) -> list[tuple[int, datetime, int]]:
    """The first of them, together no longer than a page may be; one at least."""
    total = 0
    for number, (_, _, size) in enumerate(keys):
        total += size
        if number and total > PAGE_BYTES:
            return keys[:number]
    return keys


def _words(text: str) -> str:
    text = text.strip()
    if len(text) > QUERY_LENGTH:
        raise ValueError(f"It has more than {QUERY_LENGTH} characters.")
    if "\x00" in text:
        raise ValueError("It holds the character NUL, which no Post does.")
    if _MANY_MINUSES.search(text):
        raise ValueError(f"It has more than {MAX_MINUSES} times - with no word between.")
    # The index holds the names in this form, and most texts come in it.
    return unicodedata.normalize("NFC", text)


def _place(text: str) -> Cursor:
    try:
        return Cursor.read(text)
    except ValueError:
        raise ValueError("It is no place in the list: take it from a page's next.") from None


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_LIMIT):
        raise ValueError(f"Expected a whole number from 1 to {MAX_LIMIT}.")
    return int(text)


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "q": _words,
    "category": normal_name,
    "tag": normal_name,
    "after": _place,
    "limit": _limit,
}
