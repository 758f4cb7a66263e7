"""A short run: the same client, faults and checker as `make chaos`, on the servers of the tests.

What others use too is not ended here: broker and database stay up.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import database, report
from tests.chaos.run import Extent, Run
from tests.chaos.stage import TERMS, staged
from tests.service import database_url
from tests.sql import query

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.amqp,
    pytest.mark.timeout(180),
]

SECONDS = 5.0
SHORT = {
    **TERMS,
    "OUTBOX_LEASE_SECONDS": "2",
    "OUTBOX_PUBLISH_SECONDS": "1",
    "OUTBOX_REDISPATCH_SECONDS": "2",
}


@pytest.fixture
def servers(transactional_db: None) -> Iterator[dict[str, str]]:
    """The servers of the tests, with a table of effects; its replica stays at rest."""
    query(database.EFFECTS)
    broker_url = os.environ["CELERY_BROKER_URL"]
    yield {"DATABASE_URL": database_url("default"), "CELERY_BROKER_URL": broker_url}
    query(database.NO_EFFECTS)


def test_a_short_run_under_faults_keeps_every_promise(
    servers: dict[str, str], tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    with staged(tmp_path, servers, terms=SHORT) as stage:
        outcome = Run(stage, tmp_path / "ledgers", seed, print).whole(Extent(seconds=SECONDS))
    print(*report.lines(outcome, seed), sep="\n")
    assert outcome.objections == []
    assert outcome.complaints == []
    assert outcome.ended == []
    assert len({fault.kind for fault in outcome.ledgers.faults}) >= 3
    assert len(outcome.ledgers.effects) >= 30
    assert not report.broken(outcome)
