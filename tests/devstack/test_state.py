from __future__ import annotations

import socket
import stat
from pathlib import Path

from deploy.devstack.ports import HIGHEST, LOWEST, free_port, is_free, is_listening
from deploy.devstack.state import State


def test_a_free_port_is_outside_of_the_range_of_outgoing_connections() -> None:
    assert LOWEST <= free_port() < HIGHEST


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert is_listening(port)
    assert not is_listening(port)


def test_ports_passwords_and_names_outlive_the_program(tmp_path: Path) -> None:
    first, later = State(tmp_path / "state.json"), None
    remembered = (first.port("a"), first.password("a"), first.name("node"))

    later = State(tmp_path / "state.json")

    assert (later.port("a"), later.password("a"), later.name("node")) == remembered
    assert later.port("b") != later.port("a")


def test_a_port_that_is_taken_meanwhile_is_replaced_for_good(tmp_path: Path) -> None:
    state = State(tmp_path / "state.json")
    before = state.port("a")
    with socket.create_server(("127.0.0.1", before)):
        now = state.port("a")
    assert now != before
    assert State(tmp_path / "state.json").port("a") == now


def test_passwords_are_for_the_owners_eyes_alone(tmp_path: Path) -> None:
    State(tmp_path / "state.json").password("a")
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
