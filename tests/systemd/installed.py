"""The rendered units, installed on a machine of their own with all that they need."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.systemd import rendering
from tests.service import Service, database_url, free_port
from tests.systemd.machine import USER, Machine

REPOSITORY = Path(__file__).resolve().parents[2]
RENDER = REPOSITORY / "deploy" / "systemd" / "render"
POSTPROCESS, RELAY = "pillarbox-postprocess.service", "pillarbox-relay@1.service"
SECOND_RELAY = "pillarbox-relay@2.service"
WEB, WORKER = "pillarbox-web.service", "pillarbox-worker.service"
SERVICES = (WEB, POSTPROCESS, RELAY, SECOND_RELAY, WORKER)


@dataclass(frozen=True, slots=True)
class Installed:
    """A machine with the units, and the way to its web process."""

    machine: Machine
    service: Service


def render(folder: Path, *options: str) -> None:
    """What an operator does: run the program, with the interpreter of these tests."""
    command = [sys.executable, RENDER, folder, "--python", sys.executable, *options]
    subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)


@contextmanager
def installed(folder: Path) -> Iterator[Installed]:
    """The units on a machine that runs, none of them started, and the test's own servers."""
    config = folder / "machine"
    port, secret = free_port(), _webhook_secret()
    render(
        config / "units",
        "--user",
        USER,
        "--credentials",
        "/run/machine/credentials",
        "--environment",
        "/run/machine/environment",
    )
    given = {
        "database-url": database_url("default"),
        "owner-database-url": database_url("default"),
        "broker-url": os.environ["CELERY_BROKER_URL"],
        "webhook-secrets": secret,
        "secret-key": secrets.token_urlsafe(50),
    }
    (config / "credentials").mkdir(mode=0o700)
    for name, value in given.items():
        (config / "credentials" / name).write_text(value + "\n")
    (config / "environment").write_text(
        f"PORT={port}\nDJANGO_ALLOWED_HOSTS=127.0.0.1\nDJANGO_SSL_REDIRECT=false\n"
        "WEB_CONCURRENCY=1\nOUTBOX_LEASE_SECONDS=10\n"
    )
    visible = [REPOSITORY, *map(Path, rendering.interpreter_folders(Path(sys.executable)))]
    with Machine(config, visible) as machine:
        yield Installed(machine, Service(port, secret, {}))


def _webhook_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
