"""Arrays as one literal hold what a list of the same values would."""

from __future__ import annotations

import uuid

import pytest

from outbox import store
from outbox.arrays import of_flags, of_ids, of_numbers, of_texts

pytestmark = pytest.mark.django_db

TEXTS = [
    "",
    "plain",
    '"quoted"',
    'back\\slash and \\"both\\"',
    "{braces}, commas,, and 'apostrophes'",
    "NULL",
    "  spaces around\tand a tab\n",
    "%(name)s %s %%",
    "\u00fc \u4e2d \U0001f4ee",
]


def read(literal: str, kind: str) -> object:
    return store.run(f"SELECT %(literal)s::{kind}[]", literal=literal)[0][0]


@pytest.mark.parametrize("texts", [[], [""], ["", ""], TEXTS, *[[each] for each in TEXTS]])
def test_texts(texts: list[str]) -> None:
    assert read(of_texts(texts), "text") == texts


@pytest.mark.parametrize("texts", [["\0"], ["a", "b\0c"], ["a\0"]])
def test_a_text_that_no_text_may_be_is_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="NUL"):
        of_texts(texts)


def test_numbers_flags_and_ids() -> None:
    ids = [uuid.uuid4() for _ in range(3)]
    assert read(of_numbers([]), "bigint") == []
    assert read(of_numbers([1, -2, 2**62]), "bigint") == [1, -2, 2**62]
    assert read(of_flags([True, False]), "boolean") == [True, False]
    assert read(of_ids(ids), "uuid") == ids
