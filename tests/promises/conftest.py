"""What several proofs of the promises need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.promises.counted_effects import EFFECTS, NO_EFFECTS
from tests.sql import query


@pytest.fixture
def effects(transactional_db: None) -> Iterator[None]:
    """A table, `effect`, with a row for each time that the task of the service took effect."""
    query(EFFECTS)
    yield
    query(NO_EFFECTS)
