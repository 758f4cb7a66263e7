"""Redis: the machine's own, or Debian's package; every write is on disk before it is answered."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.devstack.debian import DebianPackages, Unavailable, library_path
from deploy.devstack.leftover_servers import end_servers
from deploy.devstack.process import Process
from deploy.devstack.state import State

START_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Installation:
    program: Path
    version: str
    origin: str
    libraries: str = ""


def find_redis(packages: DebianPackages) -> Installation:
    """Raises Unavailable."""
    if importlib.util.find_spec("redis") is None:
        raise Unavailable("the Python package redis is missing (install the extra `redis`)")
    if found := shutil.which("redis-server"):
        return Installation(Path(found), _version(Path(found), ""), "this machine")
    root = packages.unpacked("redis-server", r"redis|lib|lua")
    program = root / "usr/bin/redis-server"
    libraries = library_path(root)
    origin = f"Debian's package, unpacked in {root}"
    return Installation(program, _version(program, libraries), origin, libraries)


def _version(program: Path, libraries: str) -> str:
    try:
        done = subprocess.run(
            [program, "--version"],
            env=_environment(libraries),
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{program} cannot be run: {error}") from error
    if done.returncode != 0:
        raise Unavailable(f"{program} cannot be run: {done.stderr.strip()[-200:]}")
    match = re.search(r"v=(\S+)", done.stdout)
    return match[1] if match else "unknown"


def _environment(libraries: str) -> dict[str, str]:
    given = os.environ.get("LD_LIBRARY_PATH")
    paths = ":".join(filter(None, (libraries, given)))
    return {**os.environ, "LD_LIBRARY_PATH": paths} if paths else dict(os.environ)


class Redis(Process):
    """One server in a folder of its own. `url` is for Celery."""

    def __init__(self, installation: Installation, stack_dir: Path, state: State) -> None:
        self.folder = stack_dir / "redis"
        self.note = f"Redis {installation.version} from {installation.origin}"
        self._port = state.port("redis")
        self._password = state.password("redis")
        super().__init__(
            "broker",
            # The settings lie in its working folder: their path may hold blanks.
            [str(installation.program), "redis.conf"],
            log=stack_dir / "logs" / "broker.log",
            pid_file=stack_dir / "pids" / "broker",
            env=_environment(installation.libraries),
            cwd=self.folder,
        )
        self.url = f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        end_servers(self.folder, "redis-server")
        super().start()

    def bring_up(self) -> None:
        """Start and wait until it takes commands. Raises StartFailed."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = [
            "bind 127.0.0.1",
            f"port {self._port}",
            f"requirepass {self._password}",
            "daemonize no",
            "appendonly yes",
            "appendfsync always",
            'save ""',
        ]
        configuration = self.folder / "redis.conf"
        configuration.touch(mode=0o600)
        configuration.write_text("\n".join(settings) + "\n")
        self.start()
        self.wait_until(self._answers, START_SECONDS)

    def _answers(self) -> bool:
        # Also while it still reads its log it listens, but answers -LOADING to all but AUTH.
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=2) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answers:
                    return [answers.readline(), answers.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False
