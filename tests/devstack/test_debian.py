"""How packages are fetched, with commands of ours in the place of apt-get and dpkg-deb."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.devstack import apt
from deploy.devstack.broker import start_broker
from deploy.devstack.debian import DebianPackages, Unavailable
from deploy.devstack.guard import guard
from deploy.devstack.process import StartFailed
from deploy.devstack.state import State

PLAN = """
case "$*" in
*--print-uris*) echo "'http://mirror/w.deb' thing_1_all.deb 10 SHA256:0"
                echo "'http://mirror/o.deb' other_1_all.deb 10 SHA256:0";;
"""
WORKS = PLAN + '*download*) shift $(($# - 1)); echo "$1" > "$1.deb";;\nesac\n'
REFUSES = PLAN + "*) echo 'E: Failed to fetch http://mirror/w.deb refused'; exit 100;;\nesac\n"
HANGS = PLAN + "*) exec sleep 60;;\nesac\n"
UNPACKS = 'cp "$2" "$3/thing"\n'


@pytest.fixture(autouse=True)
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only commands there are, besides a few of the system's."""
    folder = tmp_path / "commands"
    folder.mkdir()
    for name in ("sh", "cp", "sleep"):
        (folder / name).symlink_to(Path("/bin", name))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(
        "platform.freedesktop_os_release", lambda: {"ID": "debian", "VERSION_ID": "12"}
    )
    yield folder
    guard.close()


@pytest.fixture
def packages(tmp_path: Path) -> DebianPackages:
    return DebianPackages(tmp_path / "a cache", tmp_path / "apt.log", lambda line: None)


def put(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)


def test_packages_are_fetched_once_and_the_wanted_ones_alone(
    commands: Path, packages: DebianPackages, tmp_path: Path
) -> None:
    put(commands, "apt-get", WORKS)
    put(commands, "dpkg-deb", UNPACKS)
    root = packages.unpacked("thing", "thing")
    put(commands, "apt-get", HANGS)

    assert packages.unpacked("thing", "thing") == root
    assert (root / "thing").read_text() == "thing\n"
    assert list((tmp_path / "a cache").iterdir()) == [root]


def test_a_mirror_that_refuses_is_told_in_its_words_and_leaves_nothing(
    commands: Path, packages: DebianPackages, tmp_path: Path
) -> None:
    put(commands, "apt-get", REFUSES)
    put(commands, "dpkg-deb", UNPACKS)

    with pytest.raises(Unavailable, match=r"Failed to fetch http://mirror/w\.deb refused"):
        packages.unpacked("thing", "thing")

    assert list((tmp_path / "a cache").iterdir()) == []


def test_a_silent_mirror_is_given_up_and_not_asked_again(
    commands: Path, packages: DebianPackages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "FIRST_BYTE_SECONDS", 0.3)
    put(commands, "apt-get", HANGS)
    put(commands, "dpkg-deb", UNPACKS)

    with pytest.raises(Unavailable, match="does not answer"):
        packages.unpacked("thing", "thing")
    began = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer"):
        packages.unpacked("other", "other")
    assert time.monotonic() - began < 0.2


def test_a_broker_that_was_asked_for_and_cannot_be_had_says_why(
    packages: DebianPackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.devstack.rabbitmq._homes", lambda: iter(()))
    state = State(tmp_path / "state.json")
    with pytest.raises(StartFailed, match=r"RabbitMQ cannot be had: .*no apt-get"):
        start_broker("rabbitmq", tmp_path, state, packages, lambda line: None)
    with pytest.raises(StartFailed, match=r"kafka.*rabbitmq, redis, filesystem"):
        start_broker("kafka", tmp_path, state, packages, lambda line: None)


def test_without_servers_the_broker_is_a_folder_and_says_why(
    packages: DebianPackages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.devstack.rabbitmq._homes", lambda: iter(()))
    stack_dir = tmp_path / "a stack"
    told: list[str] = []

    broker = start_broker(None, stack_dir, State(tmp_path / "state.json"), packages, told.append)

    assert broker.url == f"filesystem://{tmp_path}/a%20stack/filesystem"
    assert (stack_dir / "filesystem").is_dir()
    assert broker.process is None
    assert "RabbitMQ cannot be had" in broker.note
    assert "Redis cannot be had" in broker.note
    assert len(told) == 2
