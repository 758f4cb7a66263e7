"""Requests that no honest sender sends, against the real web process: `python -m tests.fuzz`.

Needs the servers of `python -m deploy.devstack exec`. Exit 0 if every answer was right, every
accepted delivery is stored, and no worker has grown; 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import tempfile
from pathlib import Path

import django

from deploy.devstack.console import Console


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000, help="how many (default 50000)")
    parser.add_argument("--seed", type=int, help="which requests (default: others in each run)")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings.test")
    django.setup()
    from django.test.utils import setup_databases, teardown_databases

    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        return run(seed, options.requests)
    finally:
        teardown_databases(databases, verbosity=0)


def run(seed: int, requests: int) -> int:
    from app.openapi.document import encoded  # they need the apps
    from tests.fuzz.campaign import ENVIRONMENT, campaign, secret_of
    from tests.fuzz.share import Sender
    from tests.service import running

    console = Console()
    own = {**ENVIRONMENT, "WEBHOOK_SECRETS": secret_of(seed)}
    console.line(f"seed {seed}; again: make fuzz ARGS='--seed {seed} --requests {requests}'")
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), only=("web",), **own) as service,
    ):
        sender = Sender(service.port, service.secret, seed, json.loads(encoded()))
        outcome = campaign(service, sender, requests, console.line)
    console.lines(outcome.lines(seed))
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
