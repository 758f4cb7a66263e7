"""The rendered units, installed on a machine of their own with all that they need."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.systemd import rendering
from tests.service import Service, free_port
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
def installed(folder: Path, credentials: Path) -> Iterator[Installed]:
    """The units on a machine that runs, none of them started, with a folder of credentials."""
    config = folder / "machine"
    port = free_port()
    render(
        config / "units",
        "--user",
        USER,
        "--credentials",
        "/run/machine/credentials",
        "--environment",
        "/run/machine/environment",
    )
    shutil.copytree(credentials, config / "credentials")
    secret = (credentials / "webhook-secrets").read_text().strip()
    (config / "environment").write_text(
        f"PORT={port}\nDJANGO_ALLOWED_HOSTS=127.0.0.1\nDJANGO_SSL_REDIRECT=false\n"
        "WEB_CONCURRENCY=1\nOUTBOX_LEASE_SECONDS=10\n"
    )
    visible = [REPOSITORY, *map(Path, rendering.interpreter_folders(Path(sys.executable)))]
    with Machine(config, visible) as machine:
        yield Installed(machine, Service(port, secret, {}))
