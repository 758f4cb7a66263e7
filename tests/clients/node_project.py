"""A project of npm, installed once into a folder outside the source tree.

Its lock names no registry, so that any will do; to make it anew, in the project's folder:
`npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved=true`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

INSTALL_SECONDS = 40
ANSWER_SECONDS = 40

_OPTIONS = (
    "--ignore-scripts",
    "--omit-lockfile-registry-resolved=true",
    "--no-audit",
    "--no-fund",
    "--fetch-retries=0",
    "--fetch-timeout=10000",
)

# What is wrong with the project itself is no reason for a skip; a registry that is away is one.
_OUR_FAULTS = ("EUSAGE", "EINTEGRITY", "EJSONPARSE", "E404", "ETARGET")


class NodeProject:
    """`client.js` of a folder, with the packages of its lock. Raises pytest's Skipped: no-node."""

    def __init__(self, source: Path, cache: Path) -> None:
        if not shutil.which("node") or not shutil.which("npm"):
            pytest.skip("no-node")
        self._script = source / "client.js"
        lock = (source / "package-lock.json").read_bytes()
        assert_pinned(lock)
        # Another lock is another folder, so that a folder that is there is always the right one.
        self.folder = cache / hashlib.sha256(lock).hexdigest()[:16]
        if not self.folder.is_dir():
            _install(source, self.folder)

    def answers(self, questions: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Ask one process all the questions."""
        asked = [json.dumps(question) for question in questions]
        done = subprocess.run(
            ["node", self._script],
            input="".join(f"{line}\n" for line in asked),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answered = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answered) == len(asked)
        return answered


def assert_pinned(lock: bytes) -> None:
    """Each package of a lock has its hash, and none an address: npm installs it without, too."""
    packages = json.loads(lock)["packages"]
    assert packages.pop("")["name"]
    assert packages
    for name, package in packages.items():
        assert package.get("integrity", "").startswith("sha512-"), name
        assert "resolved" not in package, name


def cache_folder(config: pytest.Config) -> Path:
    """Where packages are kept: with the servers of the tests, or in pytest's own cache."""
    if stack := os.environ.get("STACK_DIR"):
        return Path(stack).absolute() / "npm"
    assert config.cache is not None
    return config.cache.mkdir("npm")


def _install(source: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as work:
        project = Path(work) / "project"
        project.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, project)
        try:
            done = subprocess.run(
                ["npm", "ci", *_OPTIONS],
                cwd=project,
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip("no-node")
        assert not any(fault in done.stderr for fault in _OUR_FAULTS), done.stderr
        if done.returncode:
            pytest.skip("no-node")
        try:
            # In one step: a folder of this name is always whole.
            project.rename(folder)
        except OSError:
            # Another run was faster: a folder that holds something is not replaced.
            assert folder.is_dir()
