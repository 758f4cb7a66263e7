from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from outbox import systemd


def bound(address: str) -> socket.socket:
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.settimeout(5)
    receiver.bind(address)
    return receiver


def test_nothing_is_sent_without_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)

    systemd.notify("READY=1")


def test_a_state_reaches_a_socket_in_the_file_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with bound(str(tmp_path / "notify")) as receiver:
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        systemd.notify("READY=1\nSTATUS=working")

        assert receiver.recv(100) == b"READY=1\nSTATUS=working"


def test_a_state_reaches_a_socket_in_the_abstract_namespace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = f"outbox-test-{os.getpid()}"
    with bound("\0" + name) as receiver:
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name)

        systemd.notify("STOPPING=1")

        assert receiver.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("path", ["/nowhere/at/all", "vsock:2:1", "relative", "/" + "x" * 200])
def test_a_socket_that_cannot_be_reached_is_no_error(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", path)

    systemd.notify("WATCHDOG=1")


def test_a_supervisor_that_does_not_read_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(systemd, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with bound(str(tmp_path / "notify")):
        for _ in range(1_000):
            systemd.notify("WATCHDOG=1" + "x" * 1_000)
            if systemd_queue_is_full(tmp_path / "notify"):
                break
        else:
            pytest.fail("the socket took everything")
        systemd.notify("WATCHDOG=1")


def systemd_queue_is_full(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        try:
            sender.sendto(b"x", str(path))
        except BlockingIOError:
            return True
    return False


@pytest.mark.parametrize(
    ("allowed", "process", "interval"),
    [
        ("30000000", None, 15.0),
        pytest.param("30000000", str(os.getpid()), 15.0, id="ours"),
        ("30000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_the_time_allowed(
    monkeypatch: pytest.MonkeyPatch,
    allowed: str | None,
    process: str | None,
    interval: float | None,
) -> None:
    for name, value in (("WATCHDOG_USEC", allowed), ("WATCHDOG_PID", process)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)

    assert systemd.watchdog_interval() == interval
