"""The project of npm is installed as its lock says, or the fault is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.node_project import NodeProject, assert_pinned

PROJECT = Path(__file__).resolve().parent / "npm"
NAME = "node_modules/fast-sha256"


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    lock = json.loads((PROJECT / "package-lock.json").read_text())
    change(lock["packages"])
    return json.dumps(lock).encode()


def test_each_package_of_the_lock_has_its_hash_and_no_address() -> None:
    assert_pinned(changed(lambda packages: None))


@pytest.mark.parametrize(
    "change",
    [
        lambda packages: packages[NAME].pop("integrity"),
        lambda packages: packages[NAME].update(integrity="sha1-aaaa"),
        lambda packages: packages[NAME].update(resolved="https://example.org/a.tgz"),
        lambda packages: [packages.pop(name) for name in list(packages) if name],
    ],
    ids=["no hash", "weak hash", "address", "empty"],
)
def test_a_lock_that_pins_less_is_a_fault(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(AssertionError):
        assert_pinned(changed(change))


@pytest.mark.parametrize("code", ["E404", "ETARGET", "EINTEGRITY", "EUSAGE"])
def test_a_package_that_cannot_be_had_is_a_fault_and_no_skip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    refuse(tmp_path, monkeypatch, code)
    with pytest.raises(AssertionError, match=code):
        NodeProject(PROJECT, tmp_path / "cache")


def test_a_registry_that_is_away_is_a_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(tmp_path, monkeypatch, "ECONNREFUSED")
    with pytest.raises(pytest.skip.Exception, match="no-node"):
        NodeProject(PROJECT, tmp_path / "cache")


def refuse(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Put programs into the path of which npm fails as it does with this code."""
    for name in ("node", "npm"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho 'npm ERR! code {code}' >&2\nexit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
