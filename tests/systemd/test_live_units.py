"""The rendered units under a real systemd."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import event
from tests.message_factory import state_of
from tests.promises.counted_effects import store_ready
from tests.roles.role_database import RoleDatabase
from tests.roles.role_service import empty_the_queue
from tests.sql import count, query
from tests.systemd import machine
from tests.systemd.first_start import started_units
from tests.systemd.installed import (
    POSTPROCESS,
    RELAY,
    REPOSITORY,
    SECOND_RELAY,
    SERVICES,
    WEB,
    Installed,
    installed,
)
from tests.systemd.stall import stalled_claims, wait_for_a_stalled_claim
from tests.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.amqp,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not machine.can_be_had(), reason="no-root"),
]

WATCHDOG_SECONDS = 60
"""As in the unit."""
MAINTAIN_TIMER = "pillarbox-maintain.timer"
NAMES = ("web", "postprocess", "relay", "worker")


@pytest.fixture
def units(transactional_db: None, roles: RoleDatabase, tmp_path: Path) -> Iterator[Installed]:
    roles.empty()
    empty_the_queue()
    with roles.as_default(), installed(tmp_path, roles.credentials) as units:
        yield units
    assert units.machine.name not in machine.listed()


def users_of_the_database() -> set[str]:
    """The roles whose sessions the processes have open."""
    users = query(
        "SELECT DISTINCT usename FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return {user for [user] in users}


def test_all_units_become_active_and_a_delivery_is_done(units: Installed) -> None:
    assert {*started_units()} == {*SERVICES, MAINTAIN_TIMER} - {SECOND_RELAY}
    units.machine.systemctl("start", *started_units(), SECOND_RELAY)

    answer = units.service.deliver(event())
    assert answer.status == 202, answer
    eventually(lambda: state_of(answer.body["message_id"]) == "done", 60)
    units.machine.systemctl("start", "pillarbox-maintain.service")
    assert units.machine.show("pillarbox-maintain.service", "Result") == "success"
    states = units.machine.systemctl("is-active", *SERVICES, MAINTAIN_TIMER)
    assert set(states.split()) == {"active"}
    assert users_of_the_database() == {f"pillarbox_{name}" for name in NAMES}
    assert {units.machine.show(unit, "NRestarts") for unit in SERVICES} == {"0"}
    assert units.machine.show(POSTPROCESS, "StatusText") == "working"
    for unit in SERVICES:
        # Some settings are only warned about where they cannot be had: these must be in force.
        status = units.machine.run("cat", f"/proc/{units.machine.show(unit, 'MainPID')}/status")
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["Uid"].split()[0] == str(machine.USER_ID)
        assert (facts["Seccomp"], facts["NoNewPrivs"], int(facts["CapBnd"], 16)) == ("2", "1", 0)


def test_a_post_processor_that_hangs_is_restarted_by_the_watchdog(units: Installed) -> None:
    units.machine.systemctl("start", WEB, POSTPROCESS)

    with stalled_claims():
        answer = units.service.deliver(event())
        wait_for_a_stalled_claim()
        eventually(
            lambda: int(units.machine.show(POSTPROCESS, "NRestarts")) > 0, WATCHDOG_SECONDS + 30
        )

    eventually(lambda: state_of(answer.body["message_id"]) == "ready", 60)
    eventually(lambda: units.machine.show(POSTPROCESS, "ActiveState") == "active", 30)
    assert "Watchdog timeout" in units.machine.journal("--unit", POSTPROCESS)


def test_a_stopped_relay_that_was_busy_leaves_no_claim(units: Installed) -> None:
    store_ready("post-", 9_000)

    units.machine.systemctl("start", RELAY)
    eventually(lambda: count("outbox_message WHERE state = 'dispatched'") > 0, 30)
    units.machine.systemctl("stop", RELAY)

    assert count("outbox_message WHERE state = 'ready'") > 0, "it was not busy any more"
    assert count("outbox_message WHERE lease_token IS NOT NULL") == 0
    assert count("outbox_message WHERE attempts > 0") == 0
    assert units.machine.show(RELAY, "Result") == "success"


def test_nothing_is_left_of_a_machine_whose_test_was_killed(tmp_path: Path) -> None:
    config = tmp_path / "machine"
    config.mkdir()
    (config / "credentials").mkdir()
    program = (
        "import signal, sys\nfrom pathlib import Path\nfrom tests.systemd.machine import Machine\n"
        "with Machine(Path(sys.argv[1]), []) as machine:\n"
        "    machine.run('systemd-run', '--quiet', 'sleep', '1000')\n"
        "    print(machine.name, flush=True)\n"
        "    signal.pause()\n"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", program, config],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with killed:
        assert killed.stdout is not None
        name = killed.stdout.readline().strip()
        assert len(machine.listed()[name]) > 2, "nothing runs in it"
        killed.send_signal(signal.SIGKILL)

    # Its processes go with it; the empty folders go when the next machine is made.
    eventually(lambda: machine.listed().get(name) == [], 20)
    machine.remove_leftovers()
    assert name not in machine.listed()
