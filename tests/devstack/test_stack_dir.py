from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from deploy.devstack import address, leftovers, stack_lock


def test_a_stack_directory_serves_one_run_at_a_time(tmp_path: Path) -> None:
    with (
        stack_lock.held(tmp_path),
        pytest.raises(stack_lock.StackInUse, match="STACK_DIR"),
        stack_lock.held(tmp_path),
    ):
        pass
    with stack_lock.held(tmp_path):
        pass


def test_a_port_that_is_asked_for_and_taken_is_refused_by_name() -> None:
    with socket.create_server((address.HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(address.PortTaken, match=f"port {port}"):
            address.choose(str(port))


def test_a_port_chosen_by_one_run_is_taken_for_the_next_before_it_listens() -> None:
    with socket.socket() as probe:
        probe.bind((address.HOST, 0))
        port = probe.getsockname()[1]

    with closing(address.choose(str(port))) as chosen:
        with pytest.raises(address.PortTaken):
            address.choose(str(port))
        assert chosen.base_url == f"http://127.0.0.1:{port}"
    address.choose(str(port)).close()


def test_without_a_wish_another_port_is_found_when_the_usual_one_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server((address.HOST, 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(address, "DEFAULT_PORT", taken)
        with closing(address.choose(None)) as chosen:
            assert chosen.port != taken
            assert f"port {taken} is taken" in chosen.notes[0]


@pytest.mark.parametrize("wish", ["http", "0", "65536", "-1", "8000x"])
def test_what_is_no_port_is_refused(wish: str) -> None:
    with pytest.raises(address.PortTaken, match="not a port"):
        address.choose(wish)


def test_a_run_waits_for_the_processes_of_a_killed_one(tmp_path: Path) -> None:
    said: list[str] = []
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (tmp_path / "postgres").write_text(f"{child.pid}\n")

    def tell(text: str) -> None:
        said.append(text)
        child.communicate()

    leftovers.wait_for_end(tmp_path, tell)

    assert said == ["waiting for the run before to end (postgres)"]
    assert not list(tmp_path.iterdir())


def test_stale_and_broken_pid_files_are_removed_at_once(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    (tmp_path / "web").write_text(f"{child.pid}\n")
    (tmp_path / "relay").write_text("")

    leftovers.wait_for_end(tmp_path, lambda text: pytest.fail(text))

    assert not list(tmp_path.iterdir())
