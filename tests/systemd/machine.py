"""A systemd of its own for a test: process 1 of new namespaces, which can change nothing outside.

No host with systemd is needed, only root, the right to make namespaces, and Debian's package.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.waiting import eventually

HERE = Path(__file__).resolve().parent
SYSTEMD = Path("/usr/lib/systemd/systemd")
NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--cgroup")
NAMESPACES_BESIDES = ("--uts", "--ipc")
PREFIX = "pillarbox-units-"
USER, USER_ID = "pillarbox", 64_200

_BARE_TARGETS = ("sysinit", "basic", "shutdown", "network-online", "multi-user", "timers")
_JOURNAL_SOCKET = """[Unit]
DefaultDependencies=no
[Socket]
ListenStream=/run/systemd/journal/stdout
ListenDatagram=/run/systemd/journal/socket
PassCredentials=yes
"""
_JOURNAL = """[Unit]
DefaultDependencies=no
Requires=systemd-journald.socket
After=systemd-journald.socket
[Service]
Type=notify
ExecStart=/usr/lib/systemd/systemd-journald
StandardOutput=null
FileDescriptorStoreMax=4224
"""
_DEFAULT = """[Unit]
DefaultDependencies=no
Requires=systemd-journald.service
After=systemd-journald.service
"""


def can_be_had() -> bool:
    """Whether this process is root and may make the namespaces and mount in them."""
    if os.geteuid() != 0:
        return False
    attempt = ["unshare", *NAMESPACES, *NAMESPACES_BESIDES, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(attempt, capture_output=True, timeout=20, check=False).returncode == 0


class Machine:
    """Runs the units of `folder / "units"`; `folder` is /run/machine inside.

    `visible` are folders that the units need and that may lie below /tmp, which is empty inside.
    Everything of the host is read-only there, but the network and the servers on it are shared.
    """

    def __init__(self, folder: Path, visible: Iterable[Path]) -> None:
        self.name = PREFIX + uuid.uuid4().hex[:12]
        self._folder = folder
        self._visible = list(visible)
        self._outer: subprocess.Popen[str] | None = None
        self._pid = 0

    def __enter__(self) -> Self:
        if not SYSTEMD.exists():
            raise AssertionError(f"{SYSTEMD} is missing. On Debian: apt-get install systemd")
        remove_leftovers()
        self._furnish()
        place = self._folder / "cgroup"
        place.mkdir()
        inner = [str(HERE / "pid1.sh"), str(self._folder), *map(str, self._visible)]
        unshare = ["unshare", *NAMESPACES, *NAMESPACES_BESIDES, *inner]
        enter = [str(HERE / "cgroup.sh"), str(place), "enter", self.name, *unshare]
        # With the process that runs the tests, all of it dies, however that one ends.
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", *enter]
        with (self._folder / "log").open("w") as log:
            self._outer = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
            )
        try:
            eventually(self._is_up, 30)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._outer is not None:
            self._outer.kill()
            self._outer.wait(10)
        remove(self.name)

    def run(self, *command: str, check: bool = True, timeout: float = 60.0) -> str:
        """What a command inside prints, both streams. AssertionError when `check` and it fails."""
        done = subprocess.run(
            ["nsenter", "--target", str(self._pid), "-m", "-u", "-i", "-p", "-C", "--", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{command} ended with {done.returncode}: {done.stdout}")
        return done.stdout

    def systemctl(self, *arguments: str) -> str:
        """`systemctl` of this systemd. AssertionError, with the journal, when it fails."""
        try:
            return self.run("systemctl", *arguments, timeout=90)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            raise AssertionError(f"{error}\n{self.journal()}") from error

    def show(self, unit: str, name: str) -> str:
        """A property of a unit, as text."""
        return self.systemctl("show", "--value", "--property", name, unit).strip()

    def journal(self, *arguments: str) -> str:
        """The end of the journal."""
        return self.run("journalctl", "--no-pager", "--lines=100", *arguments, check=False)

    def _is_up(self) -> bool:
        assert self._outer is not None
        assert self._outer.poll() is None, (self._folder / "log").read_text()
        children = Path(f"/proc/{self._outer.pid}/task/{self._outer.pid}/children")
        for pid in children.read_text().split():
            with suppress(OSError):
                self._pid = int(pid) if Path(f"/proc/{pid}/comm").read_text() == "systemd\n" else 0
        up = "systemctl", "is-active", "default.target"
        return self._pid > 0 and self.run(*up, check=False) == "active\n"

    def _furnish(self) -> None:
        units = self._folder / "units"
        units.mkdir(exist_ok=True)
        for name in _BARE_TARGETS:
            (units / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
        (units / "systemd-journald.socket").write_text(_JOURNAL_SOCKET)
        (units / "systemd-journald.service").write_text(_JOURNAL)
        (units / "default.target").write_text(_DEFAULT)
        for name, line in (("passwd", ":x:{0}:{0}::/:/bin/false"), ("group", ":x:{0}:")):
            lines = Path("/etc", name).read_text().splitlines()
            others = [each for each in lines if not each.startswith(f"{USER}:")]
            own = USER + line.format(USER_ID)
            (self._folder / name).write_text("\n".join([*others, own, ""]))


def listed() -> dict[str, list[int]]:
    """The cgroups of all machines that there are, each with the ids of its processes."""
    lines = [line.split() for line in _cgroup("list").splitlines()]
    return {name: list(map(int, pids)) for name, *pids in lines}


def remove(name: str) -> None:
    """End the processes of a machine's cgroup, and remove it."""
    _cgroup("remove", name)


def remove_leftovers() -> None:
    """Remove the empty cgroups of machines whose tests were killed."""
    for name, processes in listed().items():
        if not processes:
            remove(name)


def _cgroup(*arguments: str) -> str:
    with ExitStack() as stack:
        place = stack.enter_context(tempfile.TemporaryDirectory())
        done = subprocess.run(
            ["unshare", "--mount", str(HERE / "cgroup.sh"), place, *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"cgroup.sh {arguments}: {done.stderr}")
        return done.stdout
