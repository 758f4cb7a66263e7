"""Each row of the front door's page, byte by byte, against a real web process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.problem_types import ProblemType
from tests.front_door.caller import Reaction, react
from tests.front_door.cases import CASES
from tests.front_door.conftest import Written
from tests.front_door.page import Outcome, rows
from tests.front_door.wire import Secrets
from tests.service import Service

# Without it there is no test database. What the web process writes is committed for all to see.
pytestmark = pytest.mark.django_db

ROWS = {row.name: row for row in rows()}
AT_ONCE = [name for name, row in ROWS.items() if not row.waits]
WAITING = [name for name, row in ROWS.items() if row.waits]


def told(before: tuple[int, ...], after: tuple[int, ...]) -> str:
    """What was written, as the page tells it."""
    *usual, conflicts = [now - then for then, now in zip(before, after, strict=True)]
    if not any(usual) and not conflicts:
        return "none"
    return "+".join(str(number) for number in (*usual, *([conflicts] if conflicts else [])))


def outcome(reaction: Reaction, rows_written: str) -> Outcome:
    return Outcome(reaction.answers, reaction.problem, reaction.then, rows_written)


def test_every_case_has_one_row_and_every_row_is_a_case() -> None:
    assert len(ROWS) == len(rows()) >= 60
    found: dict[str, list[str]] = {}
    for row in rows():
        found.setdefault(row.section, []).append(row.name)
    wanted = {
        section: [" ".join(name.split()) for name in names.split(";")]
        for section, names in CASES.items()
    }
    assert found == wanted


def test_every_type_of_problem_that_a_delivery_can_meet_has_a_row() -> None:
    of_other_addresses = {"invalid-parameters", "id-elsewhere"}
    of_our_own_trouble = {"database-away", "overloaded"}
    named = {kind.uri.rpartition(":")[2] for kind in ProblemType}
    told = {row.outcome.problem[0] for row in rows() if row.outcome.problem}
    assert named - of_other_addresses - of_our_own_trouble == told


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_is_sent_is_answered_as_the_page_says(
    name: str, web: Service, given: Secrets, written: Written
) -> None:
    row, before = ROWS[name], written()
    reaction = react(web, row, given)
    assert outcome(reaction, told(before, written())) == row.outcome


def test_who_does_not_go_on_is_answered_as_the_page_says(
    web: Service, given: Secrets, written: Written
) -> None:
    """All of them at once, since each takes as long as a deadline."""
    before = written()
    with ThreadPoolExecutor(len(WAITING)) as pool:
        found = pool.map(lambda name: react(web, ROWS[name], given), WAITING)
        reactions = dict(zip(WAITING, found, strict=True))
    rows_written = told(before, written())
    assert {name: outcome(each, rows_written) for name, each in reactions.items()} == {
        name: ROWS[name].outcome for name in WAITING
    }
