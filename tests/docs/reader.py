"""A reader who does what a page says, in an empty folder, with a shell."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.docs.blocks import Block, blocks, prints

COMMANDS_SECONDS = 300.0
"""For one block: the longest installs packages from an index."""
UNTIL_SECONDS = 90.0
STOP_SECONDS = 20.0


class NoRunner(Exception):
    """A block of which the page does not say what to do with it."""


class Failed(AssertionError):
    """A block did not do what the page says."""


class Reader:
    """Follows pages, one after the other, in one shell session.

    `given` are the reader's own values: where a page says `export NAME=...`, they are taken
    instead. What was started in a terminal of its own is stopped at the end, and must have stayed.
    If its line begins with `. ./env.sh && `, that terminal is new, and knows what the file says.
    """

    def __init__(self, folder: Path, given: Mapping[str, str]) -> None:
        self.folder = folder / "project"
        self._outside = folder / "outside"  # of the folder of the reader, which begins empty
        self._given = dict(given)
        self._cwd = self.folder
        self._processes: list[tuple[str, subprocess.Popen[bytes], Path]] = []
        for each in (self.folder, self._outside):
            each.mkdir()
        python = self._outside / "python3"
        python.write_text(f'#!/bin/sh\nexec {sys._base_executable} "$@"\n')
        python.chmod(0o755)
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in {"HOME", "LANG", "TMPDIR", "SSL_CERT_FILE"} or name.startswith("PIP_")
        }
        self._environment = {**kept, "PATH": f"{self._outside}:{os.environ['PATH']}"}
        self._new_terminal = self._environment

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        ended = [line for line, process, _ in self._processes if process.poll() is not None]
        logs = self.stop()
        if kind is None and ended:
            raise Failed(f"ended by themselves: {', '.join(ended)}\n{logs}")
        if error is not None and logs:
            error.add_note(logs)

    def follow(self, page: Path) -> None:
        """Do what the page says, block by block. Raises `NoRunner` before it begins, `Failed`."""
        found = blocks(page)
        check(found)
        for block, following in zip(found, [*found[1:], None], strict=True):
            self._obey(block, following)

    def run(self, commands: str, name: str = "commands") -> str:
        """Run commands as one block, and return what they printed."""
        code, output = self._bash(commands)
        if code:
            raise Failed(f"{name} ended with {code}:\n{commands}\n{output}")
        return output

    def logs(self) -> str:
        """What the processes that stay have written so far."""
        return "\n".join(
            f"$ {line}\n{log.read_text(errors='replace')}" for line, _, log in self._processes
        )

    def stop(self) -> str:
        """End the processes that stay, and return what they wrote."""
        for _, process, _ in self._processes:
            _signal(process, signal.SIGTERM)
        deaf = ""
        for line, process, _ in self._processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                deaf += f"{line}: did not end on SIGTERM\n"
            _signal(process, signal.SIGKILL)
            process.wait()
        logs = self.logs()
        self._processes.clear()
        return deaf + logs

    def _obey(self, block: Block, following: Block | None) -> None:
        match block.kind:
            case "file" | "addition":
                self._write(block)
            case "processes":
                for line in filter(None, map(_without_comment, block.text.splitlines())):
                    self._start(line)
            case "commands":
                expected = following if following and following.kind == "output" else None
                self._command(block, expected)
            case _:
                pass  # the output of the commands before, compared there

    def _write(self, block: Block) -> None:
        path = self._cwd / str(block.path)
        if block.kind == "addition":
            if not path.is_file():
                raise Failed(f"{block}: there is no {block.path} to add to")
            path.write_text(path.read_text() + "\n" + block.text)
            return
        if not path.parent.is_dir():
            raise Failed(f"{block}: there is no folder for {block.path}")
        path.write_text(block.text)

    def _start(self, line: str) -> None:
        """Start a process, with the variables of the session, or after `. ./env.sh &&` its own."""
        before, and_, command = line.rpartition("&& ")
        log = self._outside / f"{len(self._processes)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", f"{before}{and_}exec {command}"],
                cwd=self._cwd,
                env=self._new_terminal if before else self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append((line, process, log))

    def _command(self, block: Block, expected: Block | None) -> None:
        end = time.monotonic() + UNTIL_SECONDS
        while True:
            output = self.run(block.text, str(block))
            if expected is None or prints(expected.text, output):
                return
            if not block.repeated or time.monotonic() > end:
                raise Failed(f"{expected} is not what was printed:\n{output}")
            time.sleep(0.5)

    def _bash(self, commands: str) -> tuple[int, str]:
        """Run in the shell as the block before has left it, variables and folder included."""
        state = self._outside / "state"
        script = f"set -ae\ntrap 'pwd >{state}.cwd; env -0 >{state}.env' EXIT\n{commands}"
        process = subprocess.Popen(
            ["bash", "-c", self._with_own_values(script)],
            cwd=self._cwd,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=COMMANDS_SECONDS)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            output, _ = process.communicate()
            raise Failed(f"not done in {COMMANDS_SECONDS} s:\n{commands}\n{output!r}") from None
        pairs = (each.partition("=") for each in Path(f"{state}.env").read_text().split("\0"))
        self._environment = {name: value for name, _, value in pairs if name}
        self._cwd = Path(Path(f"{state}.cwd").read_text().strip())
        return process.returncode, output.decode(errors="replace")

    def _with_own_values(self, script: str) -> str:
        def own(line: re.Match[str]) -> str:
            return re.sub(r"(\w+)=(\S*)", self._own_value, line[0])

        return re.sub(r"^export .*$", own, script, flags=re.MULTILINE)

    def _own_value(self, pair: re.Match[str]) -> str:
        return f"{pair[1]}='{self._given[pair[1]]}'" if pair[1] in self._given else pair[0]


def check(found: list[Block]) -> None:
    """Raise `NoRunner` for blocks of which the page does not say what to do with them."""
    lost = []
    for before, block in zip(chain([None], found), found, strict=False):
        output = block.kind == "output"
        if block.kind == "other" or (output and (before is None or before.kind != "commands")):
            lost.append(f"{block} ({block.language or 'no language'})")
    if lost:
        raise NoRunner(f"nothing says what to do with: {', '.join(lost)}")


def _without_comment(line: str) -> str:
    return line.partition("  #")[0].strip()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
