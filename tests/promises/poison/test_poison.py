"""Poison ends dead, with its error, and holds up no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import transaction

from outbox.conf import outbox_settings
from outbox.last_error import NO_WORD
from outbox.states import State
from tests.promises.poison import work
from tests.promises.poison.letters import HALF, WHOLE, Letters, effects, make_due
from tests.promises.poison.supervised import ENDED_WELL, Supervised, supervised
from tests.sql import query

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300)]

GOOD = [""] * 3
DEAD = {State.DEAD}
TRIES = 5
"""Two seconds lie between two of them at least, and so ten until a killer is dead."""
SHORT = {
    "OUTBOX_MAX_ATTEMPTS": str(TRIES),
    "OUTBOX_LEASE_SECONDS": "2",
    "OUTBOX_PUBLISH_SECONDS": "1",
    "OUTBOX_REDISPATCH_SECONDS": "2",
}
# What is sent again while no worker is there waits for it in the broker, beside the same neighbours
# each time. The time is therefore longer than a worker's restart, on a slow machine too.
DEADLY = {**SHORT, "OUTBOX_REDISPATCH_SECONDS": "20"}


def test_what_fails_each_time_ends_dead_while_the_others_flow_on(
    letters: Letters, tmp_path: Path
) -> None:
    limit = outbox_settings().max_attempts
    fails, forbids = ["prepare fails", "task fails"], ["prepare forbids", "task forbids"]
    sent = letters.post(*GOOD, *fails, *forbids, *GOOD)
    early, failing, forbidden = sent[:3] + sent[-3:], sent[3:5], sent[5:7]
    with supervised(tmp_path) as group:
        group.start("postprocess", "relay", "worker")
        group.until(lambda: letters.state(*forbidden) == DEAD)
        group.until(lambda: all(letters.row(number).attempts for number in failing))
        later = letters.post(*GOOD)
        group.until(lambda: letters.done([*early, *later]))
        # The next try is seconds away, the last one minutes.
        assert letters.state(*failing) <= {State.PENDING, State.READY, State.DISPATCHED}

        def dead() -> bool:
            make_due()
            return letters.state(*failing) == DEAD

        group.until(dead)
        expect_dead(letters, failing[0], {limit}, "ValueError: number 3 cannot be done")
        expect_dead(letters, failing[1], {limit}, "ValueError: number 4 cannot be done")
        expect_dead(letters, forbidden[0], {1}, "Permanent: number 5 must never be tried again")
        expect_dead(letters, forbidden[1], {1}, "Permanent: number 6 must never be tried again")
        assert letters.attempts([*early, *later]) == [0] * 9
        expect_done_once_mended(group, letters, failing + forbidden)


@pytest.mark.slow
def test_what_kills_the_post_processor_ends_dead_and_buries_no_neighbour(
    letters: Letters, tmp_path: Path
) -> None:
    sent = letters.post(*GOOD, "prepare kills", *GOOD)
    killer, early = sent[3], sent[:3] + sent[4:]
    with supervised(tmp_path, **SHORT) as group:
        group.start("postprocess", "relay", "worker")
        group.until(lambda: group.deaths["postprocess"] == 1)
        later = letters.post(*GOOD)
        group.until(lambda: letters.done(early + later))
        assert letters.state(killer) == {State.PENDING}

        later += flow_until_dead(group, letters, killer)
        # A last claim finds the tries used up: it counts, and tries nothing.
        assert group.deaths == {"postprocess": TRIES}
        expect_dead(letters, killer, {TRIES + 1}, NO_WORD)
        assert letters.attempts(early + later) == [0] * len(early + later)
        expect_done_once_mended(group, letters, [killer])
        assert group.end() == ENDED_WELL


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_what_kills_its_worker_ends_dead_and_buries_no_neighbour(
    letters: Letters, tmp_path: Path, pool: str
) -> None:
    # What lingers is still there when its neighbour kills the worker of both.
    sent = letters.post(*GOOD, "task lingers", "task kills", "task lingers", *GOOD)
    killer, early = sent[4], sent[:4] + sent[5:]
    # In prefork a child dies alone and the broker is not told: it is sent again after that time.
    with supervised(tmp_path, pool, **(DEADLY if pool == "threads" else SHORT)) as group:
        group.start("postprocess", "relay", "worker")
        group.until(lambda: letters.row(killer).sends)
        later = letters.post(*GOOD)
        group.until(lambda: letters.done(early + later))
        assert letters.state(killer) <= {State.READY, State.DISPATCHED}

        later += flow_until_dead(group, letters, killer)
        # The first delivery is not counted before the body runs. In prefork a child dies alone.
        # (Sent again before that delivery, on a slow machine, it is counted at once.)
        expected = {TRIES, TRIES + 1} if pool == "threads" else {0}
        assert group.deaths["worker"] in expected
        assert group.deaths.total() == group.deaths["worker"]
        # A delivery that finds the tries used up may count: see the state machine.
        expect_dead(letters, killer, {TRIES, TRIES + 1}, NO_WORD)
        # One that died with it may have lost a try or two; each came back by itself.
        assert set(letters.attempts(early + later)) <= {0, 1, 2}
        expect_done_once_mended(group, letters, [killer])
        assert group.end() == ENDED_WELL


@pytest.mark.slow
def test_what_kills_its_worker_under_a_lease_buries_no_neighbour(
    letters: Letters, tmp_path: Path
) -> None:
    # They begin together, die together, and their leases end together: each goes on by itself.
    harms = ["task lingers", "task kills", "task lingers"]
    sent = letters.post(*harms, event_type=work.LEASED_NAME)
    with supervised(tmp_path, **DEADLY) as group:
        group.start("relay", "worker")
        group.until(lambda: letters.state(sent[1]) == DEAD, 180)
        group.until(lambda: letters.done([sent[0], sent[2]]))
        assert group.deaths == {"worker": work.LEASED_TRIES}
        expect_dead(letters, sent[1], {work.LEASED_TRIES + 1}, NO_WORD)
        assert {*group.end().values()} == {0}


def flow_until_dead(group: Supervised, letters: Letters, killer: int) -> list[int]:
    """Send one more whenever the last is done, or all died: each try has fresh neighbours."""
    flow = letters.post("")
    deaths = group.deaths.total()

    def dead() -> bool:
        nonlocal deaths
        if letters.done(flow[-1:]) or group.deaths.total() > deaths:
            deaths = group.deaths.total()
            flow.extend(letters.post(""))
        return letters.state(killer) == DEAD

    group.until(dead, 120)
    group.until(lambda: letters.done(flow))
    return flow


def expect_dead(letters: Letters, number: int, attempts: set[int], error: str) -> None:
    """It is dead after as many tries as one of `attempts`, and its error can be read."""
    row = letters.row(number)
    assert row.state == State.DEAD
    assert row.attempts in attempts
    assert row.last_error.rstrip().endswith(error)
    shown = letters.shown(number)
    assert error in shown
    assert f"{row.attempts} without a good end" in shown


def expect_done_once_mended(group: Supervised, letters: Letters, dead: list[int]) -> None:
    """A requeue brings each back to the step it died in; with the cause gone it is done, once."""
    done = {number: WHOLE for number in letters.sent if number not in dead}
    half_done = {number: HALF for number in dead if letters.row(number).ready_at}
    assert effects() == {**done, **half_done}
    with transaction.atomic():  # so that what a requeue writes is seen before it is taken
        query(work.MEND)
        letters.requeue(*dead)
        for number in dead:
            row = letters.row(number)
            expected = State.READY if number in half_done else State.PENDING
            assert row.payload["harm"].startswith("task" if number in half_done else "prepare")
            assert (row.state, row.attempts, row.sends) == (expected, 0, 0)
            assert (row.lease_token, row.suspect) == (None, False)

    group.until(lambda: letters.done(dead))
    assert letters.attempts(dead) == [0] * len(dead)
    assert effects() == dict.fromkeys(letters.sent, WHOLE)
