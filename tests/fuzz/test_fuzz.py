"""The fuzz run, in small: it passes, and it finds what it is there to find."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from app import signature
from app.openapi.document import encoded
from app.payload import Invalid, Malformed, parse
from tests.fuzz import campaign as campaigns
from tests.fuzz.campaign import ENVIRONMENT, campaign
from tests.fuzz.letter import KINDS, letter
from tests.fuzz.sampler import Sampler
from tests.fuzz.share import Findings, Sender
from tests.service import Service, running
from tests.sql import query

DOCUMENT = json.loads(encoded())
SECRET = "whsec_" + "a" * 32
EVENT = {"$ref": "#/components/schemas/Event"}


def test_a_seed_and_a_number_say_which_request_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)  # the rest are the signatures
    first = [letter(DOCUMENT, 1, number, SECRET) for number in range(300)]
    assert first == [letter(DOCUMENT, 1, number, SECRET) for number in range(300)]
    assert first != [letter(DOCUMENT, 2, number, SECRET) for number in range(300)]
    assert {sent.kind for sent in first} == set(KINDS)


@pytest.mark.parametrize("seed", range(50))
def test_what_the_description_takes_is_parsed_and_what_is_spoiled_never_fails(seed: int) -> None:
    sampler = Sampler(DOCUMENT, Random(seed))
    event: Any = sampler.valid(EVENT)
    parse(json.dumps(event).encode())
    refused = 0
    for _ in range(20):
        try:
            parse(json.dumps(sampler.spoiled(event)).encode())
        except (Invalid, Malformed):
            refused += 1
    assert refused > 5


def test_a_seed_says_which_secret_it_is() -> None:
    assert campaigns.secret_of(1) == campaigns.secret_of(1) != campaigns.secret_of(2)
    assert not list(signature.faults([campaigns.secret_of(1)]))


def run(service: Service, requests: int) -> campaigns.Outcome:
    told: list[str] = []
    sender = Sender(service.port, service.secret, 1, DOCUMENT)
    outcome = campaign(service, sender, requests, told.append)
    assert told
    return outcome


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.django_db(transaction=True)
def test_no_request_breaks_the_web_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaigns, "STEP", 150)
    with running(tmp_path, only=("web",), **ENVIRONMENT) as service:
        outcome = run(service, 300)
    assert outcome.faults == []
    assert outcome.findings.kinds.total() == 300
    assert set(outcome.findings.statuses) >= {202, 400, 401, 422}
    assert len(outcome.growth) == 2
    assert "accepted, and found in the ledger" in "\n".join(outcome.lines(1))


def test_a_worker_that_has_grown_or_was_replaced_is_told() -> None:
    [fault] = campaigns._grown({1: campaigns.GROWTH_KIB, 2: campaigns.GROWTH_KIB + 1})
    assert fault.startswith("worker 2 has grown by ")
    assert campaigns._replaced({1: 5, 2: 5}, {1: 9, 2: 9}) == []
    assert campaigns._replaced({1: 5, 2: 5}, {1: 5, 3: 5}) == [
        "the workers were [1, 2] and are [1, 3]"
    ]


def test_a_run_too_short_to_compare_the_memory_says_so() -> None:
    told = "\n".join(campaigns.Outcome(Findings(), {}, 1.0, []).lines(1))
    assert "since the first 1,000 requests: not compared" in told


@pytest.mark.django_db
def test_an_accepted_delivery_that_is_nowhere_is_told() -> None:
    [fault] = campaigns._lost(Findings(accepted={str(uuid.uuid4())}))
    assert "of these 0 are in app_delivery" in fault


@pytest.fixture
def _faulty_view() -> Iterator[None]:
    """Make the view fail for one type of event, as a fault of ours would: not as an outage."""
    query(
        "CREATE FUNCTION fail_for_a_deletion() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'a fault of ours' USING ERRCODE = 'data_exception'; END $$"
    )
    query(
        "CREATE TRIGGER fail_for_a_deletion BEFORE INSERT ON outbox_message FOR EACH ROW"
        " WHEN (NEW.event_type = 'post.deleted') EXECUTE FUNCTION fail_for_a_deletion()"
    )
    yield
    query("DROP FUNCTION fail_for_a_deletion CASCADE")


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_faulty_view")
def test_what_must_not_be_is_told(tmp_path: Path) -> None:
    with running(tmp_path, only=("web",), **ENVIRONMENT) as service:
        outcome = run(service, 100)
    faults = "\n".join(outcome.faults)
    assert "answered with 500" in faults
    assert "an honest request" in faults
