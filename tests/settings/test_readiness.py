from __future__ import annotations

import socket
from pathlib import Path

import pytest
from celery import signals

import settings.celery


def test_a_worker_tells_systemd_when_it_takes_messages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.settimeout(5)
        supervisor.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        signals.worker_ready.send(sender=settings.celery.app)

        assert supervisor.recv(100) == b"READY=1\nSTATUS=working"
