"""The tables of the poisoned task, and its messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Declare
from tests.promises.poison import work
from tests.promises.poison.letters import Letters
from tests.sql import query


@pytest.fixture
def letters(transactional_db: None, declare: Declare) -> Iterator[Letters]:
    work.declare_here(declare)
    query(work.TABLES)
    yield Letters()
    query(work.NO_TABLES)
