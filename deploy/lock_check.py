"""See that the locks can be installed from binary wheels, everywhere they are meant for.

`python -m deploy.lock_check` downloads every locked package, with its hash, for each supported
Python and machine, and exits with 1 if one is missing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from itertools import product

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")
LOCKS = ("requirements.lock", "requirements-dev.lock", "examples/drf_sender/requirements.lock")
# pip takes the platforms it is given and no older ones, so all that Debian 12 can run are named.
GLIBC = ("2_28", "2_27", "2_26", "2_24", "2_17", "2_12", "2_5")
DEADLINE_SECONDS = 600


def download(lock: str, python: str, machine: str) -> str:
    """Download a lock's wheels; the end of pip's own words if that fails, else nothing."""
    platforms = [f"manylinux_{version}_{machine}" for version in GLIBC]
    platforms += [f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"manylinux1_{machine}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
        command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "-r", lock]
        command += ["-d", folder, "--implementation", "cp", "--python-version", python]
        command += [word for platform in platforms for word in ("--platform", platform)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
        )
    return "" if done.returncode == 0 else done.stderr.strip()[-500:] or "pip failed silently"


def main() -> int:
    failures = 0
    for lock, python, machine in product(LOCKS, PYTHONS, MACHINES):
        problem = download(lock, python, machine)
        failures += bool(problem)
        print(f"{lock:<41}{python:<6}{machine:<9}{problem or 'ok'}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
