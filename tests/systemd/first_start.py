"""What deploy/systemd/README.md has an operator do before the first start, done as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from deploy.devstack.postgres_binaries import find_binaries
from tests.docs.blocks import blocks

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "deploy" / "systemd" / "README.md"
# They change the machine, or need a systemd that runs.
LEFT_OUT = ("useradd ", "deploy/systemd/render ")
# What is the machine's own, in the page and in a test.
_SUDO = '#!/bin/sh\n[ "$1 $2" = "-u postgres" ] || exit 2\nshift 2\nexec "$@"\n'


def commands() -> list[str]:
    """The blocks of commands, in the order of the page."""
    return [block.text for block in blocks(PAGE) if block.language == "sh"]


def started_units() -> list[str]:
    """The units that the page starts."""
    [line] = re.findall(r"^systemctl enable --now (.*)$", PAGE.read_text(), re.MULTILINE)
    return [unit if "." in unit else f"{unit}.service" for unit in line.split()]


def first_start(folder: Path, server: dict[str, Any], database: str) -> Path:
    """Do it all but the units: the folder of credentials.

    `folder` stands for /etc/pillarbox, `server` says how libpq reaches the server as its superuser,
    and `database` is the name of the new one. AssertionError with what was printed if one fails.
    """
    programs = folder / "bin"
    programs.mkdir(parents=True)
    (programs / "sudo").write_text(_SUDO)
    (programs / "sudo").chmod(0o755)
    script = "".join(text for text in commands() if not text.startswith(LEFT_OUT))
    for written, here in (
        ("createdb pillarbox\n", f"createdb {database}\n"),
        ("-d pillarbox <", f"-d {database} <"),
        ("@127.0.0.1:5432/pillarbox", f"@{server['host']}:{server['port']}/{database}"),
        ("amqp://user:password@127.0.0.1:5672/", os.environ["CELERY_BROKER_URL"]),
        ("/etc/pillarbox/", f"{folder}/"),
        (".venv/bin/python ", f"{sys.executable} "),
    ):
        assert written in script, f"the page does not say {written!r} any more"
        script = script.replace(written, here)
    path = f"{programs}:{find_binaries()[0].folder}:{os.environ['PATH']}"
    own = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGPASSWORD": "password"}
    given = {name: str(server[key]) for name, key in own.items() if server.get(key)}
    done = subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", script],
        cwd=REPOSITORY,
        env={"PATH": path, "PGDATABASE": "postgres", **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return folder / "credentials"
