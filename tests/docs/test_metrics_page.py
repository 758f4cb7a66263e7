"""The page on admission and metrics says what the code does."""

from __future__ import annotations

import re

import pytest
from prometheus_client import Counter, Gauge, Histogram

from app import metrics, proof
from app.admission import REOPENS_AT, STALE_SECONDS, Closed
from app.problem import DATABASE_RETRY_SECONDS
from app.signature import Reason
from tests.docs.pages import DOCS

TEXT = (DOCS / "metrics.md").read_text()
Collector = Counter | Gauge | Histogram
COLLECTORS = [each for each in vars(metrics).values() if isinstance(each, Collector)]
ROWS = {
    name: cells
    for line in TEXT.splitlines()
    if line.startswith("| `pillarbox_")
    for name, *cells in [[cell.strip(" `") for cell in line.strip("|").split("|")]]
}


def name_of(collector: Collector) -> str:
    [family] = collector.describe()
    return f"{family.name}_total" if family.type == "counter" else str(family.name)


def test_each_metric_is_told_and_no_other() -> None:
    assert len(COLLECTORS) > 5
    assert sorted(map(name_of, COLLECTORS)) == sorted(ROWS)


@pytest.mark.parametrize("collector", COLLECTORS, ids=name_of)
def test_type_label_and_meaning_are_the_codes(collector: Collector) -> None:
    [family] = collector.describe()
    kind, label, meaning = ROWS[name_of(collector)]
    assert kind == family.type
    assert label == "".join(collector._labelnames)
    assert meaning.replace("`", "").startswith(family.documentation.rstrip("."))


def test_the_values_of_the_labels_are_the_codes() -> None:
    told = {name: set(re.findall("`([a-z_]+)`", cells[2])) for name, cells in ROWS.items()}
    assert told["pillarbox_webhook_refused_signatures_total"] == {each.value for each in Reason}
    assert told["pillarbox_admission_closed"] == {each.value for each in Closed}
    assert told["pillarbox_webhook_deliveries_total"] == {metrics.ACCEPTED, metrics.DUPLICATE}


def test_what_closes_the_door_is_told_with_its_times() -> None:
    told = dict(re.findall(r"^\| `([a-z_]+)` \|.*\| ([\d to]+) s \|$", TEXT, re.MULTILINE))
    earliest = proof.OVERLOADED_RETRY_SECONDS
    overloaded = f"{earliest} to {earliest + proof.OVERLOADED_SPREAD_SECONDS}"
    assert told == {
        Closed.BACKLOG: overloaded,
        Closed.LATE: overloaded,
        Closed.DATABASE: str(DATABASE_RETRY_SECONDS),
        Closed.NO_SAMPLE: str(DATABASE_RETRY_SECONDS),
    }
    assert f"for {STALE_SECONDS:g} s no sample has come" in TEXT
    assert REOPENS_AT == 4 / 5
