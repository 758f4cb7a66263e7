"""The example's own tests, run in an environment made as its README says."""

from __future__ import annotations

import os
import secrets
import subprocess
from pathlib import Path

import pytest

from deploy.devstack.demo.records import named
from deploy.devstack.demo.sender import PASSED_ON, PROJECT, Sender


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_tests_of_the_drf_sender_pass() -> None:
    sender = Sender(Path(os.environ["STACK_DIR"]) / "demo", port=0)
    sender.install()
    # Django's tests make a database of this name with test_ before it: not that of ours.
    url = named(os.environ["DATABASE_URL"], f"sender_{secrets.token_hex(4)}")
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}

    done = subprocess.run(
        [sender.python, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=PROJECT,
        env={**kept, "DATABASE_URL": url, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
